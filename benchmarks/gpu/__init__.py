r"""`make gpu-check`: what a card does with our models, in at most eight minutes.

    python -m benchmarks.gpu                    everything; JSON and weights in out/gpu-check
    python -m benchmarks.gpu --resume           goes on with the parts that are missing
    python -m benchmarks.gpu --only card speed  some parts
    python -m benchmarks.gpu --list             the parts, with their time limits
    python -m benchmarks.gpu --show FILE        the table of a JSON file again, no GPU
    python -m benchmarks.gpu --tiny             tries everything out on the CPU, with tiny networks

Full-size models: the prepared weights where there are any, random ones otherwise (time and memory
do not depend on what the numbers are). Each part runs in a process of its own, within a time limit
of its own; what it found is in the JSON file at once, also where it fails or is broken off. A set
is ten images of 512x512, 50 steps at strength 0.6 with PNDM (31 calls of the UNet), guidance 7.5.

It needs torch, transformers, diffusers, numpy and Pillow; not Ray, not a web framework, no network.
A machine that has these but no diffusers takes it, and the little that it needs beside, as wheels.
Where there is a network:

    pip download --no-deps --only-binary=:all: --python-version 3.12 -d wheels diffusers==0.42.1 \
        importlib_metadata zipp requests urllib3 charset_normalizer

and on the machine with the GPU, from the root of this project, with `wheels` carried along:

    python3 -m pip install --no-index --no-deps --target out/site wheels/*.whl
    PYTHONPATH=out/site HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1 python3 -m benchmarks.gpu

Nothing of the card's settings is changed.
"""
