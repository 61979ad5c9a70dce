//! Safetensors: opened, validated, bound to structs.
