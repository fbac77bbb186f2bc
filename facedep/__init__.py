"""facedep: facial expression pictures, the labels people give them, and networks that learn those labels."""

__version__ = "0.1.0"
