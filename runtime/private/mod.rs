//! All that generated code may name. No part of the public interface.

pub mod cpu;
pub mod reference;
