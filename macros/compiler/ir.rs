//! The tile IR: what a kernel means, with every name, axis and element type resolved.
//!
//! Values are pure and live in one arena; statements give them a place in the program. A value is
//! computed where its [`Stmt::Let`] stands; leaves (literals, dimensions, scalar parameters, const
//! parameters, `Each`, `AxisBegin`, `AxisEnd`, `AxisLen`) have none; `AxisIndex`, `Broadcast` and `Read`
//! have one. Effects (assignments, stores) are statements.
//!
//! ```text
//! for m in tile(M) {                  For { axes: [m], body }
//!     let row = x[(m, ..)];             Let v0 = load x[m, N]       : T   {m, N}
//!     let e = exp(row - row.max(N));    Let v1 = max v0 over N      : T   {m}
//!                                       Let v2 = sub v0 v1          : f32 {m, N}
//!                                       Let v3 = exp v2             : f32 {m, N}
//!     out[(m, ..)] = (e / …).cast();    Store out[m, N] = v6
//! }
//! ```
//!
//! Invariants (the verifier checks them): an operand is defined before it is used, in the same or an
//! enclosing block; an elementwise value's axes are the union of its operands' axes; both operands
//! of a binary operation have the element type that the operation computes in (casts are explicit);
//! a `Read` stands where the read happens.

use proc_macro2::{Ident, Span};
use std::ops::{Index as At, IndexMut};

/// A typed index into an [`Arena`].
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident => $of:ty),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        impl Id for $name {
            fn new(at: usize) -> Self {
                $name(u32::try_from(at).expect("an arena holds fewer than 2^32 entries"))
            }
            fn at(self) -> usize {
                self.0 as usize
            }
        }
        impl $name {
            /// Position in its arena.
            #[must_use]
            pub fn at(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

/// What an [`Arena`] is indexed by.
pub trait Id: Copy {
    /// The id of position `at`.
    fn new(at: usize) -> Self;
    /// The position.
    fn at(self) -> usize;
}

ids! {
    /// `M` in `#[kernel] fn f<M>(…)`.
    DimId => Dim,
    /// A tensor or scalar parameter.
    ParamId => Param,
    /// `T: Float` or `T: Element`.
    ElementId => ElementParam,
    /// `const CAUSAL: bool`.
    ConstId => ConstParam,
    /// `F: Fn(f32) -> f32`.
    FunctionId => FunctionParam,
    /// Something a tile extends along.
    AxisId => Axis,
    /// A pure value.
    ValueId => Value,
    /// A `let mut`.
    VarId => Var,
}

/// Growing storage indexed by a typed id.
#[derive(Clone, Debug)]
pub struct Arena<I, T> {
    items: Vec<T>,
    id: std::marker::PhantomData<I>,
}

impl<I: Id, T> Default for Arena<I, T> {
    fn default() -> Self {
        Arena { items: Vec::new(), id: std::marker::PhantomData }
    }
}

impl<I: Id, T> Arena<I, T> {
    /// Appends and returns the new id.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len() - 1)
    }
    /// All entries with their ids, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (I, &T)> {
        self.items.iter().enumerate().map(|(at, item)| (I::new(at), item))
    }
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl<I: Id, T> At<I> for Arena<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.items[id.at()]
    }
}

impl<I: Id, T> IndexMut<I> for Arena<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.at()]
    }
}

/// A checked kernel.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The function's name, with the user's span.
    pub name: Ident,
    /// `M`, `N`, …, in the order of the generics.
    pub dims: Arena<DimId, Dim>,
    /// `T: Float`, …
    pub elements: Arena<ElementId, ElementParam>,
    /// `const CAUSAL: bool`, …
    pub consts: Arena<ConstId, ConstParam>,
    /// `F: Fn(f32) -> f32`, …
    pub functions: Arena<FunctionId, FunctionParam>,
    /// Tensors and scalars in the order of the signature.
    pub params: Arena<ParamId, Param>,
    /// All axes: of loops, and one for each dimension used whole.
    pub axes: Arena<AxisId, Axis>,
    /// All values.
    pub values: Arena<ValueId, Value>,
    /// All mutable variables.
    pub vars: Arena<VarId, Var>,
    /// What `let` calls values, and the expressions there: for generated code that people read.
    pub names: std::collections::HashMap<ValueId, (String, String)>,
    /// The statements that assign or store values, and the loops of axes, as they were written: likewise.
    pub remarks: Remarks,
    /// What the function does: `Let`s and `Assert`s over scalars, then exactly one grid
    /// [`Stmt::For`], whose loops are all parallel.
    pub body: Block,
}

/// A dimension: its length is known at launch and is the same in all tensors that name it.
#[derive(Clone, Debug)]
pub struct Dim {
    /// As written.
    pub name: Ident,
}

/// The element type of a generic kernel.
#[derive(Clone, Debug)]
pub struct ElementParam {
    /// As written.
    pub name: Ident,
    /// What it ranges over.
    pub bound: ElementBound,
}

/// What an element parameter ranges over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementBound {
    /// Storage types that compute in f32.
    Float,
    /// All; the kernel only moves data.
    Element,
}

/// `const CAUSAL: bool` or `const N: usize`/`i32`.
#[derive(Clone, Debug)]
pub struct ConstParam {
    /// As written.
    pub name: Ident,
    /// `bool`, or an integer type, which becomes i32 in the kernel.
    pub ty: syn::Type,
    /// [`Elem::Bool`] or [`Elem::I32`].
    pub elem: Elem,
}

/// Statements as they were written, nearly.
#[derive(Clone, Debug, Default)]
pub struct Remarks {
    /// By the value that is assigned or stored.
    pub values: std::collections::HashMap<ValueId, String>,
    /// By the axis that is looped over.
    pub loops: std::collections::HashMap<AxisId, String>,
}

/// `F: Fn(f32) -> f32`: a `#[device]` function that the caller names.
#[derive(Clone, Debug)]
pub struct FunctionParam {
    /// As written.
    pub name: Ident,
    /// Scalar argument types.
    pub args: Vec<Elem>,
    /// Scalar result type.
    pub result: Elem,
}

/// A parameter of the function.
#[derive(Clone, Debug)]
pub struct Param {
    /// As written.
    pub name: Ident,
    /// Tensor or scalar.
    pub kind: ParamKind,
}

/// Tensor or scalar.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a kernel has few parameters")]
pub enum ParamKind {
    /// `&Tensor<elem, (dims…)>`, or `&mut` if `writable`.
    Tensor {
        /// Element type.
        elem: Elem,
        /// A dimension each; the same one may stand twice.
        dims: Vec<DimId>,
        /// `&mut`.
        writable: bool,
    },
    /// A scalar; `elem` is F32, F64, I32, I64, Bool or `T`. `ty` is as written (`usize` arrives as I32).
    Scalar {
        /// What the kernel sees. `T` for a scalar of a generic element type; an f64 arrives as F32
        /// unless a tensor of the kernel is f64; all integers but i64 arrive as I32.
        elem: Elem,
        /// What the caller passes.
        ty: syn::Type,
    },
}

/// Something a tile extends along, or the scalar of an `each`/`unroll` loop.
#[derive(Clone, Debug)]
pub struct Axis {
    /// As written (`m`), or the dimension's name for a whole dimension (`N`).
    pub name: Ident,
    /// Unique in the kernel: the key of its block in a `Config` (`m`, `k`, `k2`, …).
    pub key: String,
    /// What it is.
    pub kind: AxisKind,
    /// Made by a loop of the grid (the outermost `for`).
    pub grid: bool,
}

/// What an axis is.
#[derive(Clone, Debug)]
pub enum AxisKind {
    /// `for m in tile(M, begin..end).block(min..=max)`: blocked; bounds are scalar i32 values,
    /// clamped to the dimension; `None` is 0 or the dimension.
    Tile {
        /// The dimension it runs over.
        dim: DimId,
        /// First index.
        begin: Option<ValueId>,
        /// One past the last index.
        end: Option<ValueId>,
        /// Bounds that the user set on the block size.
        block: BlockBounds,
    },
    /// `for b in each(B)`, also `each(B, begin..end)`: a scalar; no tile extends along it.
    Each {
        /// The dimension it runs over.
        dim: DimId,
        /// First index.
        begin: Option<ValueId>,
        /// One past the last index.
        end: Option<ValueId>,
    },
    /// `for i in unroll(a..b)` with literal bounds: a scalar.
    Unroll {
        /// First.
        begin: i32,
        /// One past the last.
        end: i32,
    },
    /// `..`, or the dimension's name: the whole dimension at once.
    Whole {
        /// The dimension.
        dim: DimId,
    },
}

impl AxisKind {
    /// The dimension it runs over; none for `unroll`.
    #[must_use]
    pub fn dim(&self) -> Option<DimId> {
        match self {
            AxisKind::Tile { dim, .. } | AxisKind::Each { dim, .. } | AxisKind::Whole { dim } => Some(*dim),
            AxisKind::Unroll { .. } => None,
        }
    }
}

/// `.block(64)` is `{ min: 64, max: 64 }`, `.block(16..=128)` a range, none `{ 1, i32::MAX }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockBounds {
    /// Smallest allowed.
    pub min: i32,
    /// Largest allowed.
    pub max: i32,
}

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Elem {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// IEEE half.
    F16,
    /// bfloat16.
    BF16,
    /// 8-bit float, 3 bits of mantissa.
    F8E4M3,
    /// 8-bit float, 2 bits of mantissa.
    F8E5M2,
    /// 8-bit signed.
    I8,
    /// 8-bit unsigned.
    U8,
    /// 16-bit signed.
    I16,
    /// 16-bit unsigned.
    U16,
    /// 32-bit signed: also all scalars that index.
    I32,
    /// 32-bit unsigned.
    U32,
    /// 64-bit signed.
    I64,
    /// Truth values, a byte each in memory.
    Bool,
    /// `T`.
    Param(ElementId),
}

/// A set of axes, sorted by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AxisSet(Vec<AxisId>);

impl AxisSet {
    /// The set of the given axes.
    #[must_use]
    pub fn new(axes: impl IntoIterator<Item = AxisId>) -> Self {
        let mut axes: Vec<AxisId> = axes.into_iter().collect();
        axes.sort_unstable();
        axes.dedup();
        AxisSet(axes)
    }
    /// Axes of either.
    #[must_use]
    pub fn union(&self, other: &AxisSet) -> AxisSet {
        AxisSet::new(self.iter().chain(other.iter()))
    }
    /// This set less one axis.
    #[must_use]
    pub fn without(&self, axis: AxisId) -> AxisSet {
        AxisSet(self.iter().filter(|a| *a != axis).collect())
    }
    /// Membership.
    #[must_use]
    pub fn contains(&self, axis: AxisId) -> bool {
        self.0.binary_search(&axis).is_ok()
    }
    /// Whether all of `other` is in here.
    #[must_use]
    pub fn includes(&self, other: &AxisSet) -> bool {
        other.iter().all(|a| self.contains(a))
    }
    /// In order of id.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = AxisId> + '_ {
        self.0.iter().copied()
    }
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether this is the type of a scalar.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A tile's type: its element type and its set of axes. Without axes: a scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// Element type.
    pub elem: Elem,
    /// What it extends along.
    pub axes: AxisSet,
}

/// A pure value.
#[derive(Clone, Debug)]
pub struct Value {
    /// How it is computed.
    pub op: Op,
    /// Its type.
    pub ty: Type,
    /// The expression it came from.
    pub span: Span,
}

/// How a value is computed. Closed: no wildcard arms over it.
#[derive(Clone, Debug)]
pub enum Op {
    /// A literal of the value's element type.
    Literal(Literal),
    /// The length of a dimension: i32.
    Dim(DimId),
    /// A scalar parameter.
    Param(ParamId),
    /// A const parameter.
    Const(ConstId),
    /// The current index of an `each` or `unroll` axis: scalar i32.
    Each(AxisId),
    /// `m.index()`: the i32 tile of global indices, axes `{m}`; of a whole axis too (`N.index()`).
    AxisIndex(AxisId),
    /// `m.begin()`: scalar i32, the block's first index.
    AxisBegin(AxisId),
    /// `m.end()`: scalar i32, one past the block's last valid index.
    AxisEnd(AxisId),
    /// `m.len()`: scalar i32, how many indices of the block are valid.
    AxisLen(AxisId),
    /// The current content of a variable.
    Read(VarId),
    /// The operand repeated along the axes that the type has beyond it (`full`, `zeros`).
    Broadcast(ValueId),
    /// One operand.
    Unary(UnaryOp, ValueId),
    /// Two operands of the same element type.
    Binary(BinaryOp, ValueId, ValueId),
    /// A bool tile from two operands of the same element type.
    Compare(CompareOp, ValueId, ValueId),
    /// `select(condition, then, otherwise)`.
    Select(ValueId, ValueId, ValueId),
    /// To the value's element type: nearest even; float to integer saturates (NaN is 0); integer to
    /// narrower integer wraps; from bool 0 or 1; to bool `!= 0`. To a narrower float rounds through it.
    Cast(ValueId),
    /// A `#[device]` function on scalars or tiles, elementwise.
    Call(Callee, Vec<ValueId>),
    /// Removes `axis`.
    Reduce(ReduceOp, ValueId, AxisId),
    /// `fold(axis, init, |a, b| …)`: an associative closure.
    Fold(Fold),
    /// Contracts `axis`; axes that both operands have are batch axes. Computes in f32, f64, i32 or i64.
    Dot(ValueId, ValueId, AxisId),
    /// `tensor[(…)]`, or `tensor.at((…)).or(default)`.
    Load {
        /// A tensor parameter.
        tensor: ParamId,
        /// One a dimension.
        index: Vec<Index>,
        /// What an index outside gives, without an error. None: 0, with an error reported by the launch.
        default: Option<ValueId>,
    },
}

/// What `Op::Call` calls.
#[derive(Clone, Debug)]
pub enum Callee {
    /// A path to a `#[device]` function.
    Path(syn::Path),
    /// A function parameter.
    Param(FunctionId),
}

/// `fold(axis, init, |lhs, rhs| result)`.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The operand.
    pub value: ValueId,
    /// The axis it removes.
    pub axis: AxisId,
    /// A scalar identity of the closure.
    pub init: ValueId,
    /// The closure's parameters: scalar leaves, `Op::Param`-like, that only `body` uses
    /// (their op is [`Op::Literal`] zero as a placeholder; the emitter names them).
    pub lhs: ValueId,
    /// See `lhs`.
    pub rhs: ValueId,
    /// The closure's values in order, all without axes.
    pub body: Vec<ValueId>,
    /// What it returns.
    pub result: ValueId,
}

/// A literal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Literal {
    /// For float element types.
    Float(f64),
    /// For integer element types.
    Int(i64),
    /// For bool.
    Bool(bool),
}

/// One operand. Floats unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the functions'")]
pub enum UnaryOp {
    /// Any number.
    Neg,
    /// Bool, or bitwise on integers.
    Not,
    /// Any number.
    Abs,
    Floor,
    Ceil,
    /// Half to even.
    Round,
    Trunc,
    Sqrt,
    Rsqrt,
    Recip,
    Exp,
    Exp2,
    Ln,
    Log2,
    Sin,
    Cos,
    Tanh,
    Erf,
    Sigmoid,
    Relu,
    /// `x/2 · (1 + erf(x/√2))`.
    Gelu,
    /// The tanh approximation.
    GeluTanh,
    /// `x · sigmoid(x)`.
    Silu,
}

/// Two operands of one element type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// Integers wrap.
    Add,
    /// Integers wrap.
    Sub,
    /// Integers wrap.
    Mul,
    /// `x / 0` is 0 for integers, which truncate.
    Div,
    /// `x % 0` is 0 for integers; the sign is the dividend's.
    Rem,
    /// NaN wins.
    Max,
    /// NaN wins.
    Min,
    /// Floats.
    Pow,
    /// `exp(x - peak)`, 0 where `peak` is −∞. Floats.
    ExpSub,
    /// Bool or bitwise.
    And,
    /// Bool or bitwise.
    Or,
    /// Bool or bitwise.
    Xor,
    /// Integers; the amount is masked.
    Shl,
    /// Integers; the amount is masked; arithmetic on signed types.
    Shr,
}

/// Comparisons; with NaN all but `Ne` are false.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Rust's")]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Reductions over one axis. `Sum`, `Mean`, `Prod` give the compute type, `Max`, `Min` keep the type,
/// `Argmax`, `Argmin` give i32 (the lowest global index of the extreme), `Any`, `All` take and give bool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the methods'")]
pub enum ReduceOp {
    Sum,
    Mean,
    Prod,
    Max,
    Min,
    Argmax,
    Argmin,
    Any,
    All,
}

/// One dimension's part of an index.
#[derive(Clone, Debug)]
pub enum Index {
    /// `m`, `m + offset`: `offset` is a scalar i32.
    Axis {
        /// A tile or whole axis.
        axis: AxisId,
        /// Added to the index.
        offset: Option<ValueId>,
    },
    /// A scalar i32 or i64 value.
    Scalar(ValueId),
    /// An i32 or i64 tile: a gather.
    Gather(ValueId),
}

/// A `let mut`: carried through loops.
#[derive(Clone, Debug)]
pub struct Var {
    /// As written.
    pub name: Ident,
    /// The same in every assignment.
    pub ty: Type,
}

/// Statements in order.
pub type Block = Vec<Stmt>;

/// A place in the program.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// Here the value is computed.
    Let(ValueId),
    /// The first `Assign` of a variable is its declaration.
    Assign(VarId, ValueId),
    /// `tensor[(…)] = value`.
    Store {
        /// A writable tensor.
        tensor: ParamId,
        /// One a dimension.
        index: Vec<Index>,
        /// Its axes are all in the index; its element type is the tensor's.
        value: ValueId,
        /// The whole statement.
        span: Span,
    },
    /// `for (m, n) in (tile(M), each(N)) { … }`: nested, first outermost. In the grid they are parallel.
    For {
        /// Not empty.
        axes: Vec<AxisId>,
        /// What runs for each.
        body: Block,
        /// The `for` and its header.
        span: Span,
    },
    /// On a scalar bool.
    If {
        /// A scalar bool.
        condition: ValueId,
        /// If it holds.
        then: Block,
        /// If not.
        otherwise: Block,
    },
    /// Of the innermost sequential loop.
    Break,
    /// Of the innermost sequential loop.
    Continue,
    /// `assert!(condition)` outside the grid: checked at launch.
    Assert {
        /// A scalar bool.
        condition: ValueId,
        /// The condition as written.
        text: String,
        /// Where.
        span: Span,
    },
}

/// A `#[device]` function: scalars only, no loops.
#[derive(Clone, Debug)]
pub struct Device {
    /// The function's name.
    pub name: Ident,
    /// Names and types of the arguments; argument `i` is `Op::Param(ParamId(i))`.
    pub args: Vec<(Ident, Elem)>,
    /// All values; all without axes.
    pub values: Arena<ValueId, Value>,
    /// In order of computation.
    pub body: Vec<ValueId>,
    /// What it returns.
    pub result: ValueId,
}

impl Elem {
    /// Whether arithmetic is on floats (f16, bf16, the 8-bit floats and `T: Float` compute in f32).
    #[must_use]
    pub fn is_float(self, kernel_elements: &Arena<ElementId, ElementParam>) -> bool {
        match self {
            Elem::F32 | Elem::F64 | Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 => true,
            Elem::Param(id) => kernel_elements[id].bound == ElementBound::Float,
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 | Elem::I32 | Elem::U32 | Elem::I64 | Elem::Bool => {
                false
            }
        }
    }

    /// What arithmetic, `sum` and `dot` give: f32 for shorter floats and `T: Float`, i32 for small
    /// integers, else the type itself. `T: Element` has none.
    #[must_use]
    pub fn compute(self, kernel_elements: &Arena<ElementId, ElementParam>) -> Option<Elem> {
        match self {
            Elem::F32 | Elem::F16 | Elem::BF16 | Elem::F8E4M3 | Elem::F8E5M2 => Some(Elem::F32),
            Elem::I8 | Elem::U8 | Elem::I16 | Elem::U16 | Elem::I32 => Some(Elem::I32),
            Elem::F64 | Elem::U32 | Elem::I64 | Elem::Bool => Some(self),
            Elem::Param(id) => (kernel_elements[id].bound == ElementBound::Float).then_some(Elem::F32),
        }
    }
}
