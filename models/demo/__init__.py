"""The embedded demo weights, the renderer of synthetic faces and the training that made them."""
