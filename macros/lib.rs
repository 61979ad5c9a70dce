//! The entry points: `#[kernel]`, `#[kernels]`, `#[device]`, `#[derive(Weights)]`.

mod device;
mod expand;
mod options;
mod weights;

use proc_macro::TokenStream;

/// Makes a function the whole program of one kernel.
///
/// The function keeps its name: calling it launches the kernel. Beside it stands an uninhabited type of
/// the same name with `with` (block sizes from a `Config`), `reference` (the slow, watched run that
/// defines the result), `explain` and `schedule`. `#[kernel(crate = path)]` names the library under another path.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[kernel]
/// pub fn softmax<T: Float, M, N>(x: &Tensor<T, (M, N)>, out: &mut Tensor<T, (M, N)>) {
///     for m in tile(M) {
///         let row = x[(m, ..)];
///         let e = exp(row - row.max(N));
///         out[(m, ..)] = (e / e.sum(N)).cast();
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let x = Tensor::<f32>::zeros((2, 4));
/// let mut y = Tensor::<f32>::zeros((2, 4));
/// softmax(&x, &mut y)?;
/// assert_eq!(y.to_vec(), [0.25; 8]);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn kernel(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::kernel(options.into(), item.into()).into()
}

/// A module of kernels that share helpers: functions over `Tile<E>`, `Axis` and scalars, inlined where
/// a kernel calls them. Its `const`s are known to its kernels.
///
/// ```
/// #[tilewright::prelude::kernels]
/// mod norms {
///     use tilewright::prelude::*;
///
///     fn centred(row: Tile<f32>, n: Axis) -> Tile<f32> {
///         row - row.mean(n)
///     }
///
///     #[kernel]
///     pub fn centre<M, N>(x: &Tensor<f32, (M, N)>, out: &mut Tensor<f32, (M, N)>) {
///         for m in tile(M) {
///             out[(m, ..)] = centred(x[(m, ..)], N);
///         }
///     }
/// }
///
/// # fn main() -> Result<(), tilewright::Error> {
/// use tilewright::prelude::*;
/// let x = Tensor::from_vec((1, 3), vec![1.0f32, 2.0, 6.0])?;
/// let mut y = Tensor::<f32>::zeros((1, 3));
/// norms::centre(&x, &mut y)?;
/// assert_eq!(y.to_vec(), [-2.0, -1.0, 3.0]);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn kernels(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::kernels(options.into(), item.into()).into()
}

/// A scalar function that kernels can call, across modules and crates.
///
/// The function stays a function; beside it stands a type of the same name, which kernels with a
/// parameter `F: Fn(f32) -> f32` take: `linear::<mish>(…)`.
///
/// ```
/// use tilewright::prelude::*;
///
/// #[device]
/// fn leaky(x: f32) -> f32 {
///     if x > 0.0 { x } else { 0.1 * x }
/// }
///
/// #[kernel]
/// fn apply<F: Fn(f32) -> f32, M>(x: &Tensor<f32, M>, out: &mut Tensor<f32, M>) {
///     for m in tile(M) {
///         out[m] = F(x[m]);
///     }
/// }
///
/// # fn main() -> Result<(), Error> {
/// let x = Tensor::from_vec(2, vec![-10.0f32, 3.0])?;
/// let mut y = Tensor::<f32>::zeros(2);
/// apply::<leaky>(&x, &mut y)?;
/// assert_eq!(y.to_vec(), [-1.0, 3.0]);
/// assert_eq!(leaky(5.0), 5.0);
/// # Ok(())
/// # }
/// ```
#[proc_macro_attribute]
pub fn device(options: TokenStream, item: TokenStream) -> TokenStream {
    device::device(options.into(), item.into()).into()
}

/// Binds a structure to the tensors of a checkpoint; the attributes are described at
/// `tilewright::weights::Bind`.
#[proc_macro_derive(Weights, attributes(weight, weights))]
pub fn derive_weights(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    weights::expand(syn::parse_macro_input!(input as syn::DeriveInput)).into()
}
