//! How many elements an access may move at once.

use smallvec::SmallVec;

/// A tensor's memory: what alignment and divisibility hang on.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    /// Of the first element.
    pub address: u64,
    /// Lengths of the dimensions.
    pub lengths: SmallVec<[i32; 8]>,
    /// In elements.
    pub strides: SmallVec<[i64; 8]>,
    /// Bytes of an element.
    pub size: usize,
}

impl Memory {
    /// Elements along the last dimension that lie side by side, aligned, and exist together: a power of
    /// two, at most 16 bytes. `step`: where blocks start.
    pub fn vector(&self, step: i32) -> usize {
        let Some((&stride, outer)) = self.strides.split_last() else { return 1 };
        let length = self.lengths.last().copied().unwrap_or(1);
        if stride != 1 {
            return 1;
        }
        let fits = |width: usize| {
            let divides = |n: i64| n % width as i64 == 0;
            let rows =
                outer.iter().zip(&self.lengths).all(|(stride, length)| *length <= 1 || divides(*stride));
            self.address.is_multiple_of((width * self.size) as u64)
                && rows
                && divides(i64::from(length))
                && divides(i64::from(step))
        };
        let mut width = (16 / self.size).max(1);
        while width > 1 && !fits(width) {
            width /= 2;
        }
        width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(address: u64, lengths: &[i32], strides: &[i64]) -> Memory {
        Memory {
            address,
            lengths: SmallVec::from_slice(lengths),
            strides: SmallVec::from_slice(strides),
            size: 4,
        }
    }

    #[test]
    fn vectors_are_as_wide_as_address_rows_length_and_blocks_allow() {
        assert_eq!(memory(256, &[3, 64], &[64, 1]).vector(64), 4);
        assert_eq!(memory(264, &[3, 64], &[64, 1]).vector(64), 2);
        assert_eq!(memory(256, &[3, 63], &[63, 1]).vector(64), 1);
        assert_eq!(memory(256, &[3, 64], &[66, 1]).vector(64), 2);
        assert_eq!(memory(256, &[1, 64], &[3, 1]).vector(64), 4);
        assert_eq!(memory(256, &[64, 3], &[1, 64]).vector(64), 1);
        assert_eq!(memory(256, &[3, 64], &[64, 1]).vector(6), 2);
        assert_eq!(memory(256, &[], &[]).vector(1), 1);
    }
}
