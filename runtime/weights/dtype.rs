//! Element types as safetensors headers name them: more than kernels compute in, because a file
//! with a tensor nobody asks for must still open.

use crate::element::Element;
use std::fmt;

macro_rules! dtypes {
    ($($variant:ident $name:literal $bits:literal $doc:literal,)*) => {
        /// The element type of a stored tensor.
        ///
        /// ```
        /// use tilewright::weights::Dtype;
        /// assert_eq!(Dtype::parse("BF16"), Some(Dtype::Bf16));
        /// assert_eq!(Dtype::Bf16.to_string(), "BF16");
        /// assert_eq!(Dtype::Bf16.bits(), 16);
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Dtype {
            $(#[doc = $doc] $variant,)*
        }

        impl Dtype {
            /// All of them, in the order of their alignment.
            ///
            /// ```
            /// use tilewright::weights::Dtype;
            /// assert!(Dtype::ALL.iter().all(|d| Dtype::parse(d.name()) == Some(*d)));
            /// ```
            pub const ALL: &'static [Dtype] = &[$(Dtype::$variant,)*];

            /// As written in a header.
            ///
            /// ```
            /// assert_eq!(tilewright::weights::Dtype::F8E4m3.name(), "F8_E4M3");
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Dtype::$variant => $name,)* }
            }

            /// Bits of one element; 4 and 6 are possible.
            ///
            /// ```
            /// assert_eq!(tilewright::weights::Dtype::F4.bits(), 4);
            /// ```
            #[must_use]
            pub const fn bits(self) -> usize {
                match self { $(Dtype::$variant => $bits,)* }
            }

            /// From the name in a header, which is case-sensitive.
            ///
            /// ```
            /// assert_eq!(tilewright::weights::Dtype::parse("f32"), None);
            /// ```
            #[must_use]
            pub fn parse(name: &str) -> Option<Dtype> {
                match name { $($name => Some(Dtype::$variant),)* _ => None }
            }
        }
    };
}

dtypes! {
    Bool "BOOL" 8 "One byte, 0 or 1.",
    F4 "F4" 4 "MX 4-bit float, two in a byte.",
    F6E2m3 "F6_E2M3" 6 "MX 6-bit float.",
    F6E3m2 "F6_E3M2" 6 "MX 6-bit float.",
    U8 "U8" 8 "Unsigned byte.",
    I8 "I8" 8 "Signed byte.",
    F8E5m2 "F8_E5M2" 8 "8-bit float with infinities.",
    F8E4m3 "F8_E4M3" 8 "8-bit float without infinities.",
    F8E8m0 "F8_E8M0" 8 "A power of two.",
    F8E4m3fnuz "F8_E4M3FNUZ" 8 "8-bit float of AMD hardware.",
    F8E5m2fnuz "F8_E5M2FNUZ" 8 "8-bit float of AMD hardware.",
    I16 "I16" 16 "Signed integer.",
    U16 "U16" 16 "Unsigned integer.",
    F16 "F16" 16 "Half precision.",
    Bf16 "BF16" 16 "Brain float.",
    I32 "I32" 32 "Signed integer.",
    U32 "U32" 32 "Unsigned integer.",
    F32 "F32" 32 "Single precision.",
    C64 "C64" 64 "Complex of two f32.",
    F64 "F64" 64 "Double precision.",
    I64 "I64" 64 "Signed integer.",
    U64 "U64" 64 "Unsigned integer.",
}

impl Dtype {
    /// The stored type that a [`Tensor`](crate::tensor::Tensor) of `T` holds.
    ///
    /// ```
    /// use tilewright::weights::Dtype;
    /// assert_eq!(Dtype::of::<f32>(), Some(Dtype::F32));
    /// ```
    #[must_use]
    pub fn of<T: Element>() -> Option<Dtype> {
        Dtype::parse(T::KIND.safetensors())
    }

    /// Bytes of a tensor of this shape, or why there is no such number.
    pub(crate) fn byte_len(self, shape: &[usize]) -> Result<usize, ByteLenFault> {
        // A length of 0 counts as 1 here, so that overflow does not depend on the order.
        let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        let bits = count.and_then(|n| n.checked_mul(self.bits())).ok_or(ByteLenFault::Overflow)?;
        let bits = if shape.contains(&0) { 0 } else { bits };
        if bits % 8 == 0 { Ok(bits / 8) } else { Err(ByteLenFault::PartialByte) }
    }
}

/// Why a shape has no length in bytes.
pub(crate) enum ByteLenFault {
    /// The product does not fit. `[0, MAX, MAX]` and `[MAX, MAX, 0]` are the same fault, whatever the order.
    Overflow,
    /// Elements narrower than a byte that end inside one.
    PartialByte,
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
