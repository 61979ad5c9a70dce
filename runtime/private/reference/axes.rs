//! Sets of axes with lengths, and walking over them.

use smallvec::SmallVec;

/// A stride for each axis of some set.
pub(super) type Strides = SmallVec<[usize; 4]>;

/// The part of an axis that a program is at: global indices `begin .. end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The axis, unique in the kernel.
    pub id: u32,
    /// The first index.
    pub begin: i32,
    /// One past the last.
    pub end: i32,
}

impl Span {
    /// The whole of a dimension.
    #[must_use]
    pub fn whole(id: u32, length: i32) -> Span {
        Span { id, begin: 0, end: length }
    }

    /// How many indices there are.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::try_from(i64::from(self.end) - i64::from(self.begin)).unwrap_or(0)
    }
}

/// Axes with their lengths, in order of their ids: the shape of a tile, whose last axis is contiguous.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Axes(SmallVec<[(u32, usize); 4]>);

impl Axes {
    /// Of a tile along one axis.
    pub fn one(span: Span) -> Axes {
        Axes(SmallVec::from_slice(&[(span.id, span.count())]))
    }

    /// The axes of either.
    pub fn union(&self, other: &Axes) -> Axes {
        let mut all = self.0.clone();
        all.extend(other.0.iter().copied().filter(|(id, _)| !self.contains(*id)));
        all.sort_unstable();
        Axes(all)
    }

    /// All but one.
    pub fn without(&self, axis: u32) -> Axes {
        Axes(self.0.iter().copied().filter(|(id, _)| *id != axis).collect())
    }

    /// Membership.
    pub fn contains(&self, axis: u32) -> bool {
        self.0.iter().any(|(id, _)| *id == axis)
    }

    /// The length along an axis; 1 where it does not extend.
    pub fn length(&self, axis: u32) -> usize {
        self.0.iter().find(|(id, _)| *id == axis).map_or(1, |(_, length)| *length)
    }

    /// How many combinations of indices there are.
    pub fn elements(&self) -> usize {
        self.0.iter().map(|(_, length)| length).product()
    }

    /// The stride of one axis; 0 where it does not extend.
    pub fn stride(&self, axis: u32) -> usize {
        let Some(at) = self.0.iter().position(|(id, _)| *id == axis) else { return 0 };
        self.0[at + 1..].iter().map(|(_, length)| length).product()
    }

    /// The strides of this set's tile when walking over `over`.
    pub fn strides(&self, over: &Axes) -> Strides {
        over.0.iter().map(|(id, _)| self.stride(*id)).collect()
    }

    /// Calls `visit` at every element, in row-major order, with the offset of each operand.
    pub fn walk(&self, operands: &[Strides], mut visit: impl FnMut(&[usize])) {
        let mut position: SmallVec<[usize; 4]> = SmallVec::from_elem(0, self.0.len());
        let mut offsets: SmallVec<[usize; 9]> = SmallVec::from_elem(0, operands.len());
        for _ in 0..self.elements() {
            visit(&offsets);
            for axis in (0..self.0.len()).rev() {
                let length = self.0[axis].1;
                position[axis] += 1;
                if position[axis] < length {
                    offsets.iter_mut().zip(operands).for_each(|(offset, strides)| *offset += strides[axis]);
                    break;
                }
                position[axis] = 0;
                for (offset, strides) in offsets.iter_mut().zip(operands) {
                    *offset -= strides[axis] * (length - 1);
                }
            }
        }
    }
}
