//! The CPU: always there, the default.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::LaunchError;
use crate::simd::InstructionSet;

/// What `TILEWRIGHT_CPU` asks for, or the best there is.
pub(crate) fn instruction_set() -> Result<InstructionSet, LaunchError> {
    InstructionSet::detect().map_err(|message| LaunchError::InstructionSet { message })
}

static LIMIT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Limits all later launches of this process to `limit` threads, the calling thread among them; 0 counts
/// as 1. [`Config::threads`](crate::Config::threads) limits one launch.
///
/// Kernels run on the calling thread and on rayon's: of the global pool, or of the pool that the caller
/// is in.
///
/// ```
/// tilewright::set_threads(1);
/// assert_eq!(tilewright::Device::cpu().threads(), Ok(1));
/// ```
pub fn set_threads(limit: usize) {
    LIMIT.store(limit.max(1), Ordering::Relaxed);
}

/// The smaller of `set_threads` and `TILEWRIGHT_THREADS`.
pub(crate) fn thread_limit() -> Result<usize, LaunchError> {
    static VARIABLE: OnceLock<Result<usize, String>> = OnceLock::new();
    let read = || match std::env::var("TILEWRIGHT_THREADS") {
        Ok(value) => parse_threads(&value).ok_or(value),
        Err(_) => Ok(usize::MAX),
    };
    match VARIABLE.get_or_init(read) {
        Ok(variable) => Ok(LIMIT.load(Ordering::Relaxed).min(*variable)),
        Err(value) => Err(LaunchError::Threads { value: value.clone() }),
    }
}

fn parse_threads(value: &str) -> Option<usize> {
    value.trim().parse().ok().filter(|&threads| threads > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_threads_is_at_least_one() {
        assert_eq!(parse_threads(" 3 "), Some(3));
        for text in ["0", "", "-1", "all"] {
            assert_eq!(parse_threads(text), None, "{text}");
        }
    }
}
