//! Binding: what `#[derive(Weights)]` expands to calls in here.
//!
//! Two passes over the structure. `check` asks for every tensor's name, element type and shape, which
//! the headers know, and collects all that is wrong; only if nothing is, `load` makes the tensors.

use super::dims::{Dim, Dims, shape_text};
use super::nearest::nearest;
use super::number::reader;
use super::report::{Problem, Report};
use super::{Dtype, Weights, WeightsError};
use crate::element::Element;
use crate::tensor::{MAX_RANK, Tensor};
use std::collections::{BTreeSet, HashSet};

/// A structure of tensors that [`Weights::bind`] fills. Derive it: `#[derive(Weights)]`.
///
/// On the structure:
/// - `#[weights(dims(V, H))]` lists the dimensions that `shape`s may name, so that a slip is a compile
///   error; without it every name is one. The same name is the same length in the whole model.
/// - `#[weights(local(I, O))]`: dimensions that each instance of the structure has for itself.
/// - `#[weights(ignore = "name")]`, as often as needed: a tensor that no field takes on purpose; a
///   name that ends in `.` stands for all that begin with it.
///
/// On a field, which is a `Tensor<T>`, an `Option<Tensor<T>>` or a `Vec<Tensor<T>>`:
/// - `#[weight("name")]`: the tensor's name; in a `Vec` with `{i}` for the number.
/// - `shape = (3 * H, K, 7, _)`: its shape. `shape = H` is one dimension, `shape = ()` none.
/// - `optional`: on an `Option`, `None` if the tensor is not there; on a `Vec`, empty.
/// - `tied = "other"`: where the tensor is not there, `other` is taken, without a copy.
/// - `convert`: another element type is converted; else it is an error.
///
/// On a field whose type derives `Weights` itself, or an `Option` or `Vec` of such:
/// - `#[weight(prefix = "encoder.layer.{i}.")]`: what its names begin with; in a `Vec` with `{i}`, and
///   the length is found from the names. `optional` as above.
///
/// ```
/// use tilewright::prelude::*;
/// use tilewright::weights::{Weights, save};
///
/// #[derive(Weights)]
/// #[weights(local(N, K))]
/// struct Linear {
///     #[weight("weight", shape = (N, K))]
///     weight: Tensor<f32>,
///     #[weight("bias", shape = N, optional)]
///     bias: Option<Tensor<f32>>,
/// }
///
/// #[derive(Weights)]
/// struct Network {
///     #[weight(prefix = "layers.{i}.")]
///     layers: Vec<Linear>,
/// }
///
/// # let path = std::env::temp_dir().join(format!("bind-{}.safetensors", std::process::id()));
/// let (first, second) = (Tensor::full((4, 3), 0.5f32), Tensor::full((2, 4), 0.25f32));
/// save(&path, &[("layers.0.weight", &first), ("layers.1.weight", &second)])?;
/// let network: Network = Weights::open(&path)?.bind()?;
/// assert_eq!(network.layers.len(), 2);
/// assert_eq!(network.layers[1].weight.shape(), [2, 4]);
/// assert!(network.layers[0].bias.is_none());
/// # std::fs::remove_file(&path).ok();
/// # Ok::<(), tilewright::weights::WeightsError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no structure of weights",
    label = "does not implement `Bind`",
    note = "put #[derive(Weights)] on it; a tensor has a name, #[weight(\"…\")], not a prefix"
)]
pub trait Bind: Sized {
    /// As in messages.
    #[doc(hidden)]
    const NAME: &'static str;
    #[doc(hidden)]
    fn check(scope: &mut Scope<'_>);
    #[doc(hidden)]
    fn load(loader: &Loader<'_>) -> Result<Self, WeightsError>;
}

impl Weights {
    /// Fills a structure: see [`Bind`].
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// # use tilewright::weights::{Weights, WeightsError};
    /// #[derive(Weights)]
    /// struct Model {
    ///     #[weight("w")]
    ///     w: Tensor<f32>,
    /// }
    /// let weights = Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// assert!(matches!(weights.bind::<Model>(), Err(WeightsError::Bind(_))));
    /// # Ok::<(), WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// [`WeightsError::Bind`] lists every tensor that is missing, misshapen, of the wrong type or not
    /// expected.
    pub fn bind<B: Bind>(&self) -> Result<B, WeightsError> {
        self.bind_under("")
    }

    /// As [`Weights::bind`], where all names begin with `prefix`; others are left alone. Checkpoints
    /// of one model differ in this.
    ///
    /// ```
    /// # use tilewright::prelude::*;
    /// # use tilewright::weights::{Weights, WeightsError};
    /// # #[derive(Weights)]
    /// # struct Model {
    /// #     #[weight("w")]
    /// #     w: Tensor<f32>,
    /// # }
    /// # let weights = Weights::from_bytes(b"\x02\0\0\0\0\0\0\0{}")?;
    /// let prefix = if weights.names().any(|n| n.starts_with("bert.")) { "bert." } else { "" };
    /// let model = weights.bind_under::<Model>(prefix);
    /// # assert!(model.is_err());
    /// # Ok::<(), WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Weights::bind`].
    pub fn bind_under<B: Bind>(&self, prefix: &str) -> Result<B, WeightsError> {
        let mut scope = Scope::new(self, prefix);
        B::check(&mut scope);
        let problems = scope.finish(prefix);
        if !problems.is_empty() {
            return Err(WeightsError::Bind(Report { path: self.path.clone(), structure: B::NAME, problems }));
        }
        B::load(&Loader { weights: self, prefix: prefix.to_owned() })
    }
}

/// What a field says of its tensor.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Its name below the structure's prefix; in a list with `{i}`.
    pub name: &'static str,
    /// Its shape, if the field says.
    pub shape: Option<&'static [Dim]>,
    /// Stands in for it.
    pub tied: Option<&'static str>,
    /// Whether other element types are converted.
    pub convert: bool,
    /// Whether it may be absent.
    pub optional: bool,
}

/// The first pass: where in the structure it is, and what it found.
#[doc(hidden)]
pub struct Scope<'w> {
    weights: &'w Weights,
    prefix: String,
    /// Path of fields, for messages.
    field: String,
    /// Number of the structure that is being checked, for its local dimensions; 0 is global.
    instance: usize,
    instances: usize,
    dims: Dims,
    used: HashSet<String>,
    ignored: Vec<String>,
    problems: Vec<Problem>,
}

impl<'w> Scope<'w> {
    fn new(weights: &'w Weights, prefix: &str) -> Scope<'w> {
        Scope {
            weights,
            prefix: prefix.to_owned(),
            field: String::new(),
            instance: 1,
            instances: 1,
            dims: Dims::default(),
            used: HashSet::new(),
            ignored: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Names of tensors that no field takes on purpose.
    pub fn ignore(&mut self, names: &[&str]) {
        self.ignored.extend(names.iter().map(|name| format!("{}{name}", self.prefix)));
    }

    /// A field of tensors.
    pub fn field<F: Field>(&mut self, field: &str, spec: &Spec) {
        self.within(field, |scope| F::check(scope, spec));
    }

    /// A field of structures.
    pub fn nested<N: Nested>(&mut self, field: &str, prefix: &str, optional: bool) {
        self.within(field, |scope| N::check(scope, prefix, optional));
    }

    fn within(&mut self, field: &str, check: impl FnOnce(&mut Self)) {
        let length = self.field.len();
        if length > 0 && !field.starts_with('[') {
            self.field.push('.');
        }
        self.field.push_str(field);
        check(self);
        self.field.truncate(length);
    }

    /// One structure below a prefix of its own.
    fn structure<B: Bind>(&mut self, prefix: &str) {
        let (length, instance) = (self.prefix.len(), self.instance);
        self.prefix.push_str(prefix);
        self.instances += 1;
        self.instance = self.instances;
        B::check(self);
        self.instance = instance;
        self.prefix.truncate(length);
    }

    fn tensor<T: Element>(&mut self, name: &str, spec: &Spec) {
        let names = names(&self.prefix, name, spec);
        let Some(info) = names.iter().find_map(|name| self.weights.info(name)) else {
            if !spec.optional {
                self.missing(&names[0]);
            }
            return;
        };
        self.used.insert(info.name.to_owned());
        let convertible = reader(info.dtype).is_some();
        if Dtype::of::<T>() != Some(info.dtype) && !(spec.convert && convertible) {
            let (tensor, field) = (info.name.to_owned(), self.field.clone());
            let (stored, wanted) = (info.dtype, T::NAME);
            self.problems.push(Problem::Dtype { tensor, field, stored, wanted, convertible });
        }
        self.check_shape(info.name, info.shape, spec);
    }

    fn missing(&mut self, name: &str) {
        // Suggestions cost time for each name there is; the first few help most.
        let suggest = self.problems.len() < 64;
        let near = if suggest { nearest(name, self.weights.names()).map(str::to_owned) } else { None };
        let (tensor, field) = (name.to_owned(), self.field.clone());
        self.problems.push(Problem::Missing { tensor, field, nearest: near });
    }

    fn check_shape(&mut self, tensor: &str, found: &[usize], spec: &Spec) {
        if found.len() > MAX_RANK {
            self.problems
                .push(Problem::TooManyDimensions { tensor: tensor.to_owned(), found: found.to_vec() });
            return;
        }
        let Some(shape) = spec.shape else { return };
        if shape.len() != found.len() {
            let (wanted, found) = (shape_text(shape), found.to_vec());
            let (tensor, field) = (tensor.to_owned(), self.field.clone());
            self.problems.push(Problem::Rank { tensor, field, wanted, found });
            return;
        }
        for (position, (dim, found)) in shape.iter().zip(found).enumerate() {
            let problem = self.dims.vote(self.instance, *dim, *found, tensor, position);
            self.problems.extend(problem);
        }
    }

    /// Each number that a list has names for, after reporting holes and emptiness.
    fn list(&mut self, pattern: &str, exact: bool, optional: bool, mut element: impl FnMut(&mut Self, &str)) {
        let found = numbers(self.weights, &self.prefix, pattern, exact);
        let full = format!("{}{pattern}", self.prefix);
        if found.is_empty() && !optional {
            let first = full.replace("{i}", "0");
            let near = self.weights.names().find(|n| n.contains(pattern.replace("{i}", "0").as_str()));
            let near = near.or_else(|| nearest(&first, self.weights.names())).map(str::to_owned);
            self.problems.push(Problem::EmptyList {
                pattern: full,
                field: self.field.clone(),
                nearest: near,
            });
            return;
        }
        let missing = holes(&found);
        if !missing.is_empty() {
            self.problems.push(Problem::ListHole { pattern: full, field: self.field.clone(), missing });
        }
        for i in found {
            let name = pattern.replace("{i}", &i.to_string());
            self.within(&format!("[{i}]"), |scope| element(scope, &name));
        }
    }

    fn finish(mut self, prefix: &str) -> Vec<Problem> {
        // A tied tensor is looked at twice; its mistakes are told once.
        for problem in std::mem::take(&mut self.dims).problems() {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
        let ignored = |name: &str| {
            self.ignored
                .iter()
                .any(|i| if i.ends_with('.') { name.starts_with(i.as_str()) } else { name == i })
        };
        let under = self.weights.names().filter(|name| name.starts_with(prefix));
        let unexpected = under.filter(|name| !self.used.contains(*name) && !ignored(name));
        self.problems.extend(unexpected.map(|name| Problem::Unexpected { tensor: name.to_owned() }));
        self.problems
    }
}

/// The tensor's full name, then that of its stand-in.
fn names(prefix: &str, name: &str, spec: &Spec) -> Vec<String> {
    [Some(name), spec.tied].into_iter().flatten().map(|name| format!("{prefix}{name}")).collect()
}

/// The numbers that stand for `{i}` in names that are the pattern (`exact`) or begin with it.
fn numbers(weights: &Weights, prefix: &str, pattern: &str, exact: bool) -> BTreeSet<usize> {
    let (head, tail) = pattern.split_once("{i}").unwrap_or((pattern, ""));
    let head = format!("{prefix}{head}");
    let names = weights.places.range(head.clone()..).map(|(name, _)| name);
    let rests = names.map_while(|name| name.strip_prefix(head.as_str()));
    let number = |rest: &str| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (digits, rest) = rest.split_at(digits);
        let canonical = digits == "0" || !digits.starts_with('0');
        let fits = if exact { rest == tail } else { rest.starts_with(tail) };
        (canonical && fits).then(|| digits.parse().ok()).flatten()
    };
    rests.filter_map(number).collect()
}

/// What lies between 0 and the last number and is not there.
fn holes(found: &BTreeSet<usize>) -> Vec<(usize, usize)> {
    let mut next = 0;
    let mut missing = Vec::new();
    for &i in found {
        if i > next {
            missing.push((next, i - 1));
        }
        next = i.saturating_add(1);
    }
    missing.truncate(8);
    missing
}

/// The second pass: every tensor is known to fit.
#[doc(hidden)]
#[derive(Debug)]
pub struct Loader<'w> {
    weights: &'w Weights,
    prefix: String,
}

impl Loader<'_> {
    /// A field of tensors.
    ///
    /// # Errors
    /// A BOOL tensor holds other bytes than 0 and 1.
    pub fn field<F: Field>(&self, spec: &Spec) -> Result<F, WeightsError> {
        F::load(self, spec)
    }

    /// A field of structures.
    ///
    /// # Errors
    /// As `field`.
    pub fn nested<N: Nested>(&self, prefix: &str) -> Result<N, WeightsError> {
        N::load(self, prefix)
    }

    fn structure<B: Bind>(&self, prefix: &str) -> Result<B, WeightsError> {
        B::load(&Loader { weights: self.weights, prefix: format!("{}{prefix}", self.prefix) })
    }

    fn tensor<T: Element>(&self, name: &str, spec: &Spec) -> Result<Tensor<T>, WeightsError> {
        let names = names(&self.prefix, name, spec);
        let name = names.iter().find(|n| self.weights.info(n).is_some()).unwrap_or(&names[0]);
        if spec.convert { self.weights.convert(name) } else { self.weights.get(name) }
    }
}

/// Types of fields with a name: `Tensor<T>`, `Option<Tensor<T>>`, `Vec<Tensor<T>>`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field with #[weight(\"name\")] cannot be `{Self}`",
    label = "neither `Tensor<T>` nor an `Option` or `Vec` of it",
    note = "a structure takes #[weight(prefix = \"…\")]"
)]
pub trait Field: Sized {
    fn check(scope: &mut Scope<'_>, spec: &Spec);
    fn load(loader: &Loader<'_>, spec: &Spec) -> Result<Self, WeightsError>;
}

impl<T: Element> Field for Tensor<T> {
    fn check(scope: &mut Scope<'_>, spec: &Spec) {
        scope.tensor::<T>(spec.name, spec);
    }
    fn load(loader: &Loader<'_>, spec: &Spec) -> Result<Self, WeightsError> {
        loader.tensor(spec.name, spec)
    }
}

impl<T: Element> Field for Option<Tensor<T>> {
    fn check(scope: &mut Scope<'_>, spec: &Spec) {
        scope.tensor::<T>(spec.name, spec);
    }
    fn load(loader: &Loader<'_>, spec: &Spec) -> Result<Self, WeightsError> {
        let names = names(&loader.prefix, spec.name, spec);
        let found = names.iter().any(|name| loader.weights.info(name).is_some());
        if found { loader.tensor(spec.name, spec).map(Some) } else { Ok(None) }
    }
}

impl<T: Element> Field for Vec<Tensor<T>> {
    fn check(scope: &mut Scope<'_>, spec: &Spec) {
        scope.list(spec.name, true, spec.optional, |scope, name| scope.tensor::<T>(name, spec));
    }
    fn load(loader: &Loader<'_>, spec: &Spec) -> Result<Self, WeightsError> {
        let numbers = numbers(loader.weights, &loader.prefix, spec.name, true).into_iter();
        numbers.map(|i| loader.tensor(&spec.name.replace("{i}", &i.to_string()), spec)).collect()
    }
}

/// Types of fields with a prefix: a structure, an `Option` or a `Vec` of it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a field with #[weight(prefix = \"…\")] cannot be `{Self}`",
    label = "neither a structure of weights nor an `Option` or `Vec` of it",
    note = "put #[derive(Weights)] on it; a tensor has a name, #[weight(\"…\")], not a prefix"
)]
pub trait Nested: Sized {
    fn check(scope: &mut Scope<'_>, prefix: &str, optional: bool);
    fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self, WeightsError>;
}

impl<B: Bind> Nested for B {
    fn check(scope: &mut Scope<'_>, prefix: &str, _: bool) {
        scope.structure::<B>(prefix);
    }
    fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self, WeightsError> {
        loader.structure(prefix)
    }
}

impl<B: Bind> Nested for Option<B> {
    fn check(scope: &mut Scope<'_>, prefix: &str, _: bool) {
        if any_under(scope.weights, &scope.prefix, prefix) {
            scope.structure::<B>(prefix);
        }
    }
    fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self, WeightsError> {
        let there = any_under(loader.weights, &loader.prefix, prefix);
        if there { loader.structure(prefix).map(Some) } else { Ok(None) }
    }
}

impl<B: Bind> Nested for Vec<B> {
    fn check(scope: &mut Scope<'_>, prefix: &str, optional: bool) {
        scope.list(prefix, false, optional, |scope, prefix| scope.structure::<B>(prefix));
    }
    fn load(loader: &Loader<'_>, prefix: &str) -> Result<Self, WeightsError> {
        let numbers = numbers(loader.weights, &loader.prefix, prefix, false).into_iter();
        numbers.map(|i| loader.structure(&prefix.replace("{i}", &i.to_string()))).collect()
    }
}

fn any_under(weights: &Weights, outer: &str, prefix: &str) -> bool {
    let prefix = format!("{outer}{prefix}");
    weights.places.range(prefix.clone()..).next().is_some_and(|(name, _)| name.starts_with(&prefix))
}
