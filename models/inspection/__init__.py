"""The inspection network, and the anomaly score that is made of it.

Read the modules in this order: `network` (encoder, decoder, head); `memory_bank` and `context` (models of
normal pictures); `components` (the table of the score); `detector` (the exported graph); `cross_fitting` and
`build` (normal pictures, scored without themselves); `learner` and `train`.
"""
