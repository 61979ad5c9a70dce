//! What a launch knows of the processor's caches.

use crate::simd::is_amd;
use std::sync::OnceLock;

/// Bytes of an output from which on it is stored past the caches, whatever they hold. With 16 MiB, softmax and layer norm
/// were measured to lose by a tenth and more, with 64 MiB to gain 1.3 and 1.4 times (Sapphire Rapids, 2 MiB of L2 a core,
/// an L3 of hundreds of MiB).
const MOST: usize = 32 << 20;
/// Outputs that are shorter stay in the caches, however small these are.
const LEAST: usize = 4 << 20;

/// Which loops store past the caches: if those that call functions do, all do.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// Those that compute little.
    pub light: bool,
    /// Those that call functions. A thread has few buffers for such stores, and Intel's processors (Sapphire Rapids)
    /// compute little while it waits for one; AMD's (family 26) were measured to gain 1.1 times (gelu at 4096 × 4096)
    /// to 1.45 times (silu · mul).
    pub heavy: bool,
}

impl Streams {
    pub(super) fn new(is_large: bool) -> Streams {
        Streams { light: is_large, heavy: is_large && is_amd() }
    }
}

/// Bytes of an output that leaves the caches: half of the last one. Of 32 MiB (an EPYC of family 26), outputs of 16 MiB
/// were measured to be stored past it 1.2 to 1.65 times as fast.
pub(super) fn worth_streaming() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| last_cache().map_or(MOST, |bytes| (bytes / 2).clamp(LEAST, MOST)))
}

/// The size of the last cache in bytes, if the system tells it.
fn last_cache() -> Option<usize> {
    if cfg!(not(target_os = "linux")) || cfg!(miri) {
        return None;
    }
    let text = std::fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index3/size").ok()?;
    parse(&text)
}

/// As `32768K` or `32M`.
fn parse(text: &str) -> Option<usize> {
    let text = text.trim();
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = units.iter().find_map(|(name, shift)| Some((text.strip_suffix(*name)?, *shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    number.parse::<usize>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_caches_are_read() {
        let texts = ["32768K\n", "2M", "1G", "512", "", "K", "x"];
        let sizes = [Some(32 << 20), Some(2 << 20), Some(1 << 30), Some(512), None, None, None];
        assert_eq!(texts.map(parse), sizes);
        assert!((LEAST..=MOST).contains(&worth_streaming()));
    }
}
