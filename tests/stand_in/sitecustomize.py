"""Python runs this when it starts with this folder in PYTHONPATH: from then on torch has a GPU that is none."""

import stand_in_gpu

stand_in_gpu.start()
