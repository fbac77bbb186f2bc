"""The command line.

Main functions: `main.main`.
"""
