//! Which bit of an element's position along an axis counts registers, lanes or warps.

/// A register bit.
pub(super) const REGISTER: i8 = -1;
/// Bits of a thread's number within a warp of 32.
pub(super) const LANE_BITS: u32 = 5;

/// A spread: for each bit of a position, from the lowest, the thread bit or [`REGISTER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread(pub Vec<i8>);

impl Spread {
    /// Registers `side by side`, then `threads`, then registers: `bits` in all.
    pub fn strips(bits: u32, run: u32, threads: impl Iterator<Item = i8>) -> Spread {
        let mut spread = vec![REGISTER; run.min(bits) as usize];
        spread.extend(threads.take(bits as usize - spread.len()));
        spread.resize(bits as usize, REGISTER);
        Spread(spread)
    }

    /// The rows of a matrix core's accumulator: 8 rows in lane bits 2 to 4, twice; then warps.
    pub fn rows(bits: u32, warps: impl Iterator<Item = i8>) -> Spread {
        let head = [2, 3, 4, REGISTER].into_iter().chain(warps);
        Spread::head(bits, head)
    }

    /// The columns: pairs in a register pair, four pairs in lane bits 0 and 1; then registers; warps last,
    /// so that a warp's columns are adjacent.
    pub fn columns(bits: u32, warps: Vec<i8>) -> Spread {
        let mut spread = Spread::head(bits, [REGISTER, 0, 1].into_iter()).0;
        let free = spread.len().saturating_sub(4);
        let used = warps.len().min(free);
        let at = spread.len() - used;
        spread[at..].copy_from_slice(&warps[..used]);
        Spread(spread)
    }

    fn head(bits: u32, head: impl Iterator<Item = i8>) -> Spread {
        let mut spread: Vec<i8> = head.take(bits as usize).collect();
        spread.resize(bits as usize, REGISTER);
        Spread(spread)
    }

    /// How many bits count registers.
    pub fn registers(&self) -> u32 {
        self.0.iter().map(|bit| u32::from(*bit == REGISTER)).sum()
    }

    /// As in the text.
    pub fn text(&self) -> String {
        let bit = |bit: &i8| if *bit == REGISTER { "R".to_string() } else { bit.to_string() };
        self.0.iter().map(bit).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_start_with_registers_and_pass_over_the_threads() {
        assert_eq!(Spread::strips(6, 2, 0..3).text(), "R, R, 0, 1, 2, R");
        assert_eq!(Spread::strips(1, 2, 0..3).text(), "R");
        assert_eq!(Spread::strips(3, 0, 5..8).text(), "5, 6, 7");
    }

    #[test]
    fn matrix_cores_hold_rows_in_lane_bits_two_to_four_and_columns_in_pairs() {
        assert_eq!(Spread::rows(6, 5..7).text(), "2, 3, 4, R, 5, 6");
        assert_eq!(Spread::columns(6, vec![7]).text(), "R, 0, 1, R, R, 7");
        assert_eq!(Spread::columns(4, vec![7]).text(), "R, 0, 1, R");
    }
}
