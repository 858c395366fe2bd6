"""Ansible, in one process with all other tests: what it puts in the place of `sys.intern` is taken out again."""

import sys

_intern = sys.intern
import ansible.plugins.loader  # noqa: E402, F401 - it replaces `sys.intern` by an object

sys.intern = _intern  # torch's compiler looks at it when it is imported, and takes nothing but a function
