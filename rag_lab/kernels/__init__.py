"""Pure JAX on arrays: one example each, callers `vmap`. No strings, no input or output, no state."""
