"""The engine: builds, trains and searches architectures."""
