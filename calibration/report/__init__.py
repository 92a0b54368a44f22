"""The pages that people read after a fit and after an evaluation."""
