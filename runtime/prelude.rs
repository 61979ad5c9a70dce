//! What a file with kernels imports.
