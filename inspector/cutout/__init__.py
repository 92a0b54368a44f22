"""Cut-outs: pictures without their background."""
