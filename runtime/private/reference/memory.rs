//! Tensors as programs of the reference see them: a copy, with who wrote and who read each element.

use super::axes::{Axes, Span, Strides};
use super::number::Number;
use super::run::{Memories, Program};
use super::tile::{Tile, rounded};
use crate::element::Element;
use crate::error::{Error, TensorError};
use crate::launch::Meta;
use crate::tensor::Tensor;
use smallvec::SmallVec;
use std::any::Any;
use std::cell::RefCell;

/// One dimension's part of an index: a tile of global indices.
#[derive(Clone, Debug)]
pub struct At(Tile<i64>);

impl At {
    /// An axis.
    #[must_use]
    pub fn axis(span: Span) -> At {
        At::moved(span, 0)
    }

    /// An axis plus a scalar.
    #[must_use]
    pub fn shifted(span: Span, offset: &Tile<i32>) -> At {
        At::moved(span, i64::from(offset.get()))
    }

    /// A scalar, or a tile: a gather.
    #[must_use]
    pub fn value<E: Element>(index: &Tile<E>) -> At
    where
        E::Lane: Number,
    {
        At(index.map::<i64>(|lane| i64::from_wide(lane.wide())))
    }

    fn moved(span: Span, by: i64) -> At {
        let lanes = (span.begin..span.end).map(|index| i64::from(index) + by).collect();
        At(Tile { axes: Axes::one(span), lanes })
    }
}

/// Nobody, in the maps of writers and readers; a program is its number plus 1.
const NOBODY: u32 = 0;
/// Several programs.
const SEVERAL: u32 = u32::MAX;

/// A tensor parameter in a launch of the reference.
pub struct Memory<E: Element> {
    meta: &'static Meta,
    tensor: usize,
    lengths: SmallVec<[usize; 8]>,
    before: Vec<E::Lane>,
    state: RefCell<State<E::Lane>>,
}

/// What a run makes of it.
struct State<L> {
    lanes: Vec<L>,
    writers: Vec<u32>,
    readers: Vec<u32>,
    first: Option<Vec<L>>,
}

impl<E: Element> Memory<E> {
    /// Tensor parameter `tensor` of the kernel.
    ///
    /// # Errors
    /// It is being written elsewhere.
    pub fn new(meta: &'static Meta, tensor: usize, from: &Tensor<E>) -> Result<Memory<E>, TensorError> {
        let before: Vec<E::Lane> = from.try_to_vec()?.into_iter().map(Element::to_lane).collect();
        let state = State { lanes: Vec::new(), writers: Vec::new(), readers: Vec::new(), first: None };
        let lengths = SmallVec::from_slice(from.shape());
        Ok(Memory { meta, tensor, lengths, before, state: RefCell::new(state) })
    }

    /// `tensor[(…)]`: outside, 0 and an error at the end.
    #[must_use]
    pub fn load(&self, program: &Program<'_>, index: &[At]) -> Tile<E> {
        let none = rounded::<E>(E::default().to_lane());
        self.load_where(index, None, |at, _| match at {
            Ok(at) => self.read(program, at),
            Err((dimension, index)) => {
                program.report(self.tensor, dimension, index);
                none
            }
        })
    }

    /// `tensor.at((…)).or(default)`.
    #[must_use]
    pub fn load_or(&self, program: &Program<'_>, index: &[At], default: &Tile<E>) -> Tile<E> {
        self.load_where(index, Some(default), |at, default| match (at, default) {
            (Ok(at), _) => self.read(program, at),
            (Err(_), Some(default)) => default,
            (Err(_), None) => rounded::<E>(E::default().to_lane()),
        })
    }

    fn load_where(
        &self,
        index: &[At],
        default: Option<&Tile<E>>,
        mut lane: impl FnMut(Result<usize, (usize, i64)>, Option<E::Lane>) -> E::Lane,
    ) -> Tile<E> {
        let axes = axes_of(index, default.map(|default| &default.axes));
        let mut lanes = Vec::with_capacity(axes.elements());
        let mut operands: SmallVec<[Strides; 9]> = strides_of(index, &axes);
        operands.extend(default.map(|default| default.axes.strides(&axes)));
        axes.walk(&operands, |at| {
            let default = default.map(|default| default.lanes[at[index.len()]]);
            lanes.push(lane(self.place(index, at), default));
        });
        Tile { axes, lanes }
    }

    /// `tensor[(…)] = value`: outside, nothing and an error at the end.
    pub fn store(&self, program: &Program<'_>, index: &[At], value: &Tile<E>) {
        let axes = axes_of(index, Some(&value.axes));
        let mut operands: SmallVec<[Strides; 9]> = strides_of(index, &axes);
        operands.push(value.axes.strides(&axes));
        axes.walk(&operands, |at| match self.place(index, at) {
            Ok(place) => self.write(program, place, value.lanes[at[index.len()]]),
            Err((dimension, index)) => program.report(self.tensor, dimension, index),
        });
    }

    /// The element's position in row-major order, or the dimension and the index that leaves it.
    fn place(&self, index: &[At], at: &[usize]) -> Result<usize, (usize, i64)> {
        let mut place = 0;
        for (dimension, (length, (At(tile), at))) in self.lengths.iter().zip(index.iter().zip(at)).enumerate()
        {
            let index = tile.lanes[*at];
            match usize::try_from(index) {
                Ok(inside) if inside < *length => place = place * length + inside,
                Ok(_) | Err(_) => return Err((dimension, index)),
            }
        }
        Ok(place)
    }

    fn read(&self, program: &Program<'_>, at: usize) -> E::Lane {
        if !self.is_written() {
            return self.before[at];
        }
        let state = &mut *self.state.borrow_mut();
        let reader = &mut state.readers[at];
        *reader = if *reader == NOBODY || *reader == program.name() { program.name() } else { SEVERAL };
        if state.writers[at] != NOBODY && state.writers[at] != program.name() {
            program.race(|| self.race(at));
        }
        state.lanes[at]
    }

    fn write(&self, program: &Program<'_>, at: usize, lane: E::Lane) {
        let state = &mut *self.state.borrow_mut();
        let touched = [state.writers[at], state.readers[at]];
        if touched.into_iter().any(|by| by != NOBODY && by != program.name()) {
            program.race(|| self.race(at));
        }
        state.writers[at] = program.name();
        state.lanes[at] = rounded::<E>(lane);
    }

    fn is_written(&self) -> bool {
        self.meta.tensors[self.tensor].writable
    }

    fn race(&self, at: usize) -> Error {
        let (kernel, tensor) = (self.meta.kernel, self.meta.tensors[self.tensor].name);
        Error::Race { kernel, tensor, index: self.index(at) }
    }

    /// The index of a position in row-major order.
    fn index(&self, at: usize) -> Vec<usize> {
        let mut index = vec![0; self.lengths.len()];
        let mut rest = at;
        for (index, length) in index.iter_mut().zip(&self.lengths).rev() {
            *index = rest % length;
            rest /= length;
        }
        index
    }

    /// Writes what the first run made.
    ///
    /// # Errors
    /// The tensor is in use elsewhere.
    pub fn commit(&self, to: &mut Tensor<E>) -> Result<(), TensorError> {
        let state = self.state.borrow();
        let lanes = state.first.as_ref().unwrap_or(&self.before);
        let elements: Vec<E> = lanes.iter().map(|lane| E::from_lane(*lane)).collect();
        to.copy_from_slice(&elements)
    }
}

fn axes_of(index: &[At], more: Option<&Axes>) -> Axes {
    let axes = index.iter().fold(Axes::default(), |axes, At(tile)| axes.union(&tile.axes));
    more.map_or(axes.clone(), |more| axes.union(more))
}

fn strides_of(index: &[At], axes: &Axes) -> SmallVec<[Strides; 9]> {
    index.iter().map(|At(tile)| tile.axes.strides(axes)).collect()
}

impl<E: Element> Memories for Memory<E> {
    fn length(&self, dimension: usize) -> usize {
        self.lengths[dimension]
    }

    fn begin(&self) {
        if self.is_written() {
            let state = &mut *self.state.borrow_mut();
            state.lanes.clone_from(&self.before);
            state.writers = vec![NOBODY; self.before.len()];
            state.readers = vec![NOBODY; self.before.len()];
        }
    }

    fn end(&self) {
        let state = &mut *self.state.borrow_mut();
        if self.is_written() && state.first.is_none() {
            state.first = Some(std::mem::take(&mut state.lanes));
        }
    }

    fn agree(&self) -> Result<(), Error> {
        let state = self.state.borrow();
        let Some(first) = &state.first else { return Ok(()) };
        let tolerance = tolerance(E::NAME) * first.iter().map(size).fold(0.0, f64::max);
        let differ = |at: &usize| !are_near::<E>(first[*at], state.lanes[*at], tolerance);
        let Some(at) = (0..first.len()).find(differ) else { return Ok(()) };
        Err(Error::BlockDependent {
            kernel: self.meta.kernel,
            tensor: self.meta.tensors[self.tensor].name,
            index: self.index(at),
            values: [first[at], state.lanes[at]].map(|lane| format!("{:?}", E::from_lane(lane))),
        })
    }
}

/// How far two block sizes may be apart, relative to the largest value of the tensor: a carried sum is
/// rounded once a block, and an intermediate value may be cast to the element type.
fn tolerance(element: &str) -> f64 {
    match element {
        "f64" => 1e-11,
        "f32" => 1e-4,
        "f16" => 4e-3,
        "bf16" => 3e-2,
        "f8e4m3" => 2.5e-1,
        "f8e5m2" => 5e-1,
        _ => 0.0,
    }
}

/// A float lane, in f64.
fn real<L: 'static>(lane: &L) -> Option<f64> {
    let lane: &dyn Any = lane;
    lane.downcast_ref::<f32>().map(|lane| f64::from(*lane)).or_else(|| lane.downcast_ref().copied())
}

/// The absolute value of a finite float, else 0.
fn size<L: 'static>(lane: &L) -> f64 {
    real(lane).map(f64::abs).filter(|size| size.is_finite()).unwrap_or(0.0)
}

/// Equal, both NaN, or at most so far apart.
fn are_near<E: Element>(lhs: E::Lane, rhs: E::Lane, tolerance: f64) -> bool {
    match (real(&lhs), real(&rhs)) {
        (Some(lhs), Some(rhs)) => {
            lhs == rhs || (lhs.is_nan() && rhs.is_nan()) || (lhs - rhs).abs() <= tolerance
        }
        _ => E::from_lane(lhs) == E::from_lane(rhs),
    }
}
