//! What generated CPU code calls besides the vectors.
