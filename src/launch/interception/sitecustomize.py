"""Has aiohttp's client read the proxy variables, as Python's other clients do by themselves."""

import functools
import importlib.machinery
import importlib.util
import os
import sys


class _AiohttpFinder:
    """Changes the default of aiohttp's sessions as soon as the application imports them, and not before."""

    def find_spec(self, name, path=None, target=None):
        if name != "aiohttp.client":
            return None
        # This one stays in the list: an import on another thread that goes through a list that changes skips a finder.
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            _trust_environment(module.ClientSession)

        spec.loader.exec_module = exec_module
        return spec


def _trust_environment(session):
    create = session.__init__

    @functools.wraps(create)
    def __init__(self, *args, **kwargs):
        kwargs.setdefault("trust_env", True)
        create(self, *args, **kwargs)

    session.__init__ = __init__


def _run_next():
    """Runs the sitecustomize module that this one hides, if there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [folder for folder in sys.path if os.path.abspath(folder or ".") != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


sys.meta_path.insert(0, _AiohttpFinder())
_run_next()
