//! Errors are collected, not first-only: every stage reports into one [`Diagnostics`], and the
//! macro turns them all into compile errors at the end.

use proc_macro2::{Span, TokenStream};

/// One mistake of the user: the smallest span at fault, what is wrong, and what to do.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// The smallest span at fault.
    pub span: Span,
    /// Lower case, no full stop, both parties named.
    pub message: String,
    /// What to do; printed as `= help: …`.
    pub help: String,
}

/// The collector. Dropping it with errors that nobody read is a fault of the compiler, and panics.
#[derive(Debug, Default)]
pub struct Diagnostics {
    errors: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Records one mistake. The same message at the same place is recorded once.
    pub fn error(&mut self, span: Span, message: impl Into<String>, help: impl Into<String>) {
        let (message, help) = (message.into(), help.into());
        let place = format!("{span:?}");
        let known = |e: &Diagnostic| e.message == message && format!("{:?}", e.span) == place;
        if !self.errors.iter().any(known) {
            self.errors.push(Diagnostic { span, message, help });
        }
    }

    /// Whether nothing was reported so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// How many mistakes were reported so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.errors.len()
    }

    /// All that was reported, in order; leaves the collector empty.
    #[must_use]
    pub fn take(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.errors)
    }

    /// All that was reported, as `compile_error!` calls; leaves the collector empty.
    #[must_use]
    pub fn to_compile_errors(&mut self) -> TokenStream {
        let to_error = |e: Diagnostic| {
            syn::Error::new(e.span, format!("{}\n= help: {}", e.message, e.help)).to_compile_error()
        };
        self.take().into_iter().map(to_error).collect()
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        assert!(
            self.errors.is_empty() || std::thread::panicking(),
            "diagnostics were dropped unread: {:?}",
            self.errors
        );
    }
}
