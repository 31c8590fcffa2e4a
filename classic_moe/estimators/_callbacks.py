"""scikit-learn's callbacks, where it has them (from 1.9 on): a fit as a tree of tasks.

Below the fit itself are its climbs, from starts and to the end, and below each its iterations.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

from ..starts.listening import current, listening
from ..starts.telling import climb_of

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn before 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Nothing, where scikit-learn has no callbacks."""

        _init_callback_context = None

    def _with_callbacks(method):
        return method


Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """Return a method of which scikit-learn's callbacks hear, of the same type."""
    return _with_callbacks(method)


class TasksMixin(CallbackSupportMixin):
    """Tells the callbacks of `set_callbacks` of a fit, whose method is one of `with_callbacks`."""

    @contextmanager
    def _as_task(self, X=None, y=None):
        """Have callbacks told of the fit that is made in a block."""
        if self._init_callback_context is None:
            yield
            return
        root = self._init_callback_context(max_subtasks=None)
        root.call_on_fit_task_begin(estimator=self, X=X, y=y)
        with ExitStack() as stack:
            if vars(self).get("_skl_callbacks"):  # else nobody is to hear of every iteration
                stack.enter_context(_Tasks(self, root).told())
            yield
        root.call_on_fit_task_end(
            estimator=self,
            X=X,
            y=y,
            reconstruction_attributes=lambda: self._fitted.attributes(),
        )


class _Tasks:
    """The tasks of a fit, as its steps are heard of; from several threads, maybe."""

    def __init__(self, estimator, root):
        self.estimator, self.root = estimator, root
        self.open, self.lock = {}, threading.Lock()

    @contextmanager
    def told(self):
        """Tell of the fits in a block, beside whoever listens."""
        outer = current()

        def hear(step):
            stop = self.hear(step)
            return stop if outer is None else outer(step) or stop

        with listening(hear):
            yield
        for task in self.open.values():
            task.call_on_fit_task_end(estimator=self.estimator)

    def hear(self, step):
        """Tell of an iteration; return whether a callback asks for the end, a bool."""
        told = dict(estimator=self.estimator)
        with self.lock:
            task = self.open.get(step[:3])
            if task is None:
                task = self.root.subcontext(task_name=climb_of(step), max_subtasks=None)
                self.open[step[:3]] = task.call_on_fit_task_begin(**told)
            leaf = task.subcontext(task_name=f"iteration {step.iteration}")
            leaf.call_on_fit_task_begin(**told)
            return bool(leaf.call_on_fit_task_end(**told))
