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

    /// The rows of a matrix core's accumulator: its own bits, then warps, then registers.
    pub fn rows(bits: u32, head: [i8; 4], warps: impl Iterator<Item = i8>) -> Spread {
        let mut spread: Vec<i8> = head.into_iter().chain(warps).take(bits as usize).collect();
        spread.resize(bits as usize, REGISTER);
        Spread(spread)
    }

    /// The columns: its own bits, then registers; warps last, so that a warp's columns are adjacent.
    pub fn columns(bits: u32, head: [i8; 4], warps: std::ops::Range<i8>) -> Spread {
        let registers = (bits as usize).saturating_sub(4 + warps.len());
        let all = head.into_iter().chain(std::iter::repeat_n(REGISTER, registers)).chain(warps);
        Spread(all.take(bits as usize).collect())
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
        let (rows, columns) = ([2, 3, 4, REGISTER], [REGISTER, 0, 1, REGISTER]);
        assert_eq!(Spread::rows(6, rows, 5..7).text(), "2, 3, 4, R, 5, 6");
        assert_eq!(Spread::columns(6, columns, 7..8).text(), "R, 0, 1, R, R, 7");
        assert_eq!(Spread::columns(4, columns, 7..8).text(), "R, 0, 1, R");
    }
}
