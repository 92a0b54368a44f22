"""The inspection network, and the anomaly score that is made of it.

Read the modules in this order: `network` (trunk, auto-encoder, head); `memory_bank` and `context` (models of
normal pictures); `components` (the table of the score); `detector` (the exported graph); `cross_fitting` and
`normals` (what is learned from good pictures, also without each fold); `examples` and `learner` (what is
trained, on good pictures with synthetic defects); `train` and `build` (the whole fit).
"""
