//! What a kernel does in all its programs together, as generated code says it: for lengths that a launch fills in.

use crate::element::Kind;

/// The work of a kernel.
#[derive(Debug)]
pub struct Work {
    /// The schedule in words.
    pub schedule: &'static str,
    /// Elementwise work, reductions and products.
    pub volumes: &'static [Volume],
    /// Loads and stores.
    pub accesses: &'static [Access],
    /// Matrix products, in the order of the schedule.
    pub products: &'static [Product],
    /// A loop has bounds that are computed: all numbers are upper bounds.
    pub at_most: bool,
}

/// Work that is done for every combination of some axes' indices. Operations are counted for one combination.
#[derive(Debug)]
pub struct Volume {
    /// Where it is done.
    pub space: Space,
    /// See [`Launch::cost`](super::Launch::cost).
    pub cost: f64,
    /// Operations on floats or integers, an `exp` counted as one; two for each multiply-add of a product.
    pub flops: f64,
    /// How many operations of vectors take as long, without products and what moves elements.
    pub vectors: f64,
}

/// Combinations of axes' indices.
#[derive(Debug)]
pub struct Space {
    /// Each index of these dimensions, which are positions in `Meta::dims`.
    pub dims: &'static [usize],
    /// Each block of these axes, which are positions in `Meta::axes`; with their dimensions.
    pub blocks: &'static [(usize, usize)],
    /// Turns of unrolled loops.
    pub turns: f64,
}

/// A load or store.
#[derive(Debug)]
pub struct Access {
    /// Into `Meta::tensors`.
    pub tensor: usize,
    /// A store.
    pub written: bool,
    /// Where it is done.
    pub space: Space,
}

/// A matrix product of one program.
#[derive(Debug)]
pub struct Product {
    /// Of its multiply-adds in the whole launch.
    pub space: Space,
    /// The type of its sums.
    pub sums: Kind,
    /// The left operand: of rows and the contracted axis.
    pub lhs: Factor,
    /// The right operand: of columns and the contracted axis.
    pub rhs: Factor,
    /// Rows.
    pub rows: Extent,
    /// Columns.
    pub columns: Extent,
    /// The contracted axis.
    pub contracted: Extent,
    /// If the right operand may be packed once per launch: the dimension of the rows, of which each block reads it.
    pub shared: Option<usize>,
}

/// How long an axis is in one program.
#[derive(Clone, Copy, Debug)]
pub enum Extent {
    /// No axis.
    One,
    /// The block of an axis of `Meta::axes`.
    Block(usize),
    /// A dimension of `Meta::dims`.
    Whole(usize),
}

/// An operand of a product.
#[derive(Debug)]
pub enum Factor {
    /// In the workspace, contracted axis last or not.
    Buffer {
        /// Whether the contracted axis is contiguous.
        contiguous: bool,
    },
    /// A tensor; its dimensions along the free and the contracted axis.
    Tensor {
        /// Into `Meta::tensors`.
        tensor: usize,
        /// Along the rows or columns.
        free: &'static [usize],
        /// Along the contracted axis.
        contracted: &'static [usize],
    },
}

impl Space {
    /// How many combinations there are, with these lengths of dimensions and blocks of axes.
    pub(crate) fn times(&self, length: impl Fn(usize) -> f64, block: impl Fn(usize) -> f64) -> f64 {
        let blocks = self.blocks.iter().map(|&(axis, dim)| (length(dim) / block(axis).max(1.0)).ceil());
        self.dims.iter().map(|&dim| length(dim)).chain(blocks).product::<f64>() * self.turns
    }
}

impl Work {
    /// What `Launch::cost` takes: before blocks are known, as if each were of one index.
    pub(crate) fn cost(&self, length: impl Fn(usize) -> f64) -> f64 {
        self.volumes.iter().map(|volume| volume.cost * volume.space.times(&length, |_| 1.0)).sum()
    }
}
