r"""How fast ten images are made on a GPU, beside diffusers and beside the floor of the card.

    python -m benchmarks.gpu_speed --minutes 9 --out out/gpu            a first run
    python -m benchmarks.gpu_speed --minutes 9 --out out/gpu --resume   goes on with what is missing
    python -m benchmarks.gpu_speed --replot out/gpu/gpu_speed.json      table and plot, no GPU
    python -m benchmarks.gpu_speed --tiny --out out/gpu-tiny            tries it out, on the CPU
    python -m benchmarks.gpu_speed --list                               the cells, their estimates

Stable Diffusion v1.5's architecture in full size with random weights: time does not depend on what
the numbers are. A set is ten images of 512x512, 50 steps at strength 0.6 with PNDM, guidance 7.5.
The measurement is a list of cells in the order of their importance. What a cell found stands in
`gpu_speed.json` as soon as the cell is done; a cell that fails is written down with a sentence and
the others go on. A cell that does not fit into the minutes left is not begun, or is broken off.

It needs torch, transformers, diffusers, numpy and Pillow, and for the plot matplotlib; not Ray, not
a web framework. A machine that has these but no diffusers, and reaches no package registry, takes
it and importlib_metadata, which it needs, as wheels. Where there is a network:

    pip download --no-deps --only-binary=:all: --python-version 3.12 -d wheels \
        diffusers==0.42.1 importlib_metadata

and on the machine with the GPU, from the root of this project, with `wheels` carried along:

    python3 -m pip install --no-index --no-deps --target site wheels/*.whl
    PYTHONPATH=site python3 -m benchmarks.gpu_speed --minutes 9 --out out/gpu

Compiled kernels are kept where torch keeps them (TORCHINDUCTOR_CACHE_DIR), so a second run on the
same machine compiles in less time. Nothing of the card's settings is changed.
"""
