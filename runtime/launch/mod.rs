//! From tensors to running programs: dimensions, aliasing, blocks, the grid.
