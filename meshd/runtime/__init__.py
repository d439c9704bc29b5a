"""The asyncio shell: sockets, streams, kernel, store threads and the control socket around a Node.

Enters: what the operating system gives. Leaves: inputs for `Node`, and its outputs carried out.
Must not know: any protocol. The only folder that may catch broadly.
"""
