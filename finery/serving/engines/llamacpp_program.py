"""llama.cpp's server as a program: it ends when its standard input does, and so with its caller."""

import os
import sys

from finery.serving.engines.llamacpp import KEY

SLACK = 16
"""Tokens that llama.cpp keeps free."""


def main() -> None:
    import xllamacpp

    file, port, streams, context, threads = sys.argv[1], *map(int, sys.argv[2:])
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.hostnames, params.port = ["127.0.0.1"], port
    params.api_keys = [os.environ.pop(KEY)]
    params.n_parallel, params.n_ctx = streams, (context + SLACK) * streams
    for cpu in (params.cpuparams, params.cpuparams_batch):
        cpu.n_threads = threads
    params.ui = params.endpoint_slots = False
    params.cors_origins, params.cors_origins_explicit = "", True
    params.cache_ram_mib = 0
    params.fit_params = False
    params.n_threads_http = streams + 4
    params.verbosity = 1
    server = xllamacpp.Server(params)  # noqa: F841 (it serves while it is there)
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
