//! Operands that the copy engine (TMA) can bring: how it is told about a tensor and its blocks.

use smallvec::SmallVec;

use super::{AxisKind, Copy, Memory, Problem};
use crate::element::Kind;

/// A tensor and a block of it, as `cuTensorMapEncodeTiled` takes them: the contiguous dimension first. The
/// driver makes 128 bytes of it, which end a kernel's argument block.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[kernel]
/// fn product<M, N, K>(a: &Tensor<bf16, (M, K)>, b: &Tensor<bf16, (N, K)>, out: &mut Tensor<f32, (M, N)>) {
///     for (m, n) in tile((M, N)) {
///         let mut sum = zeros::<f32>((m, n));
///         for k in tile(K) {
///             sum += dot(a[(m, k)], b[(n, k)], k);
///         }
///         out[(m, n)] = sum;
///     }
/// }
///
/// let (a, b) = (Tensor::<bf16>::zeros((512, 256)), Tensor::<bf16>::zeros((512, 256)));
/// let mut out = Tensor::zeros((512, 512));
/// let (result, units) = tilewright::record("sm_90a".parse()?, || product(&a, &b, &mut out));
/// result?;
/// assert_eq!(&units[0].maps[0].lengths[..], [256, 512]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorMap {
    /// Of the first element.
    pub address: u64,
    /// Of an element.
    pub kind: Kind,
    /// Lengths, in elements.
    pub lengths: SmallVec<[u64; 5]>,
    /// In bytes, of all dimensions but the first.
    pub strides: SmallVec<[u64; 5]>,
    /// The block, in elements.
    pub block: SmallVec<[u32; 5]>,
    /// Bytes of a line in shared memory, by which pieces are swizzled: 32, 64 or 128.
    pub line: u32,
}

/// Bytes that addresses and strides are multiples of.
const UNIT: u64 = 16;
/// Longest side of a block.
const LONGEST: u32 = 256;

/// The map of an operand; none if the copy engine cannot bring it. `blocks`: of each axis, in elements.
pub(super) fn map_of(problem: &Problem<'_>, copy: &Copy, steps: &[i32], blocks: &[u32]) -> Option<TensorMap> {
    let memory: &Memory = problem.memory.get(copy.tensor)?;
    let rank = copy.index.len();
    let axes = copy.index.iter().flatten().count();
    let size = memory.size as u64;
    if !matches!(size, 1 | 2) || !(2..=5).contains(&rank) || axes != 2 || !memory.address.is_multiple_of(UNIT)
    {
        return None;
    }
    let mut map = TensorMap {
        address: memory.address,
        kind: problem.kernel.tensors.get(copy.tensor)?.kind(problem.kinds),
        lengths: SmallVec::new(),
        strides: SmallVec::new(),
        block: SmallVec::new(),
        line: 0,
    };
    for (at, axis) in copy.index.iter().enumerate().rev() {
        let (length, stride) = (u64::try_from(memory.lengths[at]).ok()?, memory.strides[at]);
        if length == 0 {
            return None;
        }
        map.lengths.push(length);
        if at + 1 == rank {
            if stride != 1 && length > 1 {
                return None;
            }
        } else {
            // A dimension of one element has no stride that counts.
            let bytes = if length == 1 { UNIT } else { size * u64::try_from(stride).ok()? };
            if bytes == 0 || bytes % UNIT != 0 || bytes >= 1 << 40 {
                return None;
            }
            map.strides.push(bytes);
        }
        let block = match axis {
            None => 1,
            Some(axis) => {
                let whole = matches!(problem.kernel.axes[*axis].kind, AxisKind::Whole { .. });
                if !whole && u32::try_from(steps[*axis]) != Ok(blocks[*axis]) {
                    return None;
                }
                blocks[*axis]
            }
        };
        map.block.push(block);
    }
    // The inner side is as long as a line; further panels are copies of their own.
    copy.index.last()?.as_ref()?;
    let size = size as u32;
    map.line = (size * map.block[0]).min(128);
    map.block[0] = map.line / size;
    let fits = map.line >= 32 && map.block.iter().all(|side| *side <= LONGEST);
    fits.then_some(map)
}
