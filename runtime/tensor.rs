//! Tensors: shared storage, shape, strides.
