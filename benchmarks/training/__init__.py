"""How fast each network trains: as the original did, as a bare loop can, and in slices of hrfs.

    python -m benchmarks.training
    python -m benchmarks.training --networks resnet18 --stems imagenet --batches 128

``original``: the original's way, written from its description: loader and shuffle built anew for
each batch, images made one by one by torchvision's transforms, contiguous memory order, 32 bit,
plain SGD, torchvision's own network. It normalises alone; the others also crop and mirror at
random. ``bare``: a loop with nothing but what training needs: the slice's network, bytes that lie
on the device, batches gathered by index and augmented there, channels-last memory order, on a CPU
the C library told to keep what is freed, and of number formats, fused SGD and torch.compile what a
trial on the device shows to be the fastest.
``slice``: the slice runner of :mod:`hrfs.training.runner` with ``auto`` for what the bare loop
tries, without its evaluation; ``evaluated``: with it, on as many images per trained image as a
slice of the paper (50 batches of 512 images, then 5,000).

Each way has a process of its own, and they take turns, for no machine is as fast at one moment as
at another. Speeds are those of the fastest round, since what else a machine does only ever takes
time; shares are medians. ``loading``: seconds in which the slice's loader alone makes its batches,
over those of the slice. ``matmul``: multiplications and additions of the slice's steps per second,
over those of a large matrix product in the same number format. Peak memory is that
of the process on a CPU (its libraries included), and torch's on a GPU.
"""
