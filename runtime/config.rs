//! Block sizes and other tunables of one launch, by name.
