//! [`TaskHealth`]: whether the tasks of an [`Auth`](crate::Auth) run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::observe::metrics;
use crate::observe::words::TaskName;

/// The state of a set of tasks, which they report themselves. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskHealth(Arc<TaskStates>);

#[derive(Debug, Default)]
struct TaskStates {
    failed: [AtomicBool; TaskName::ALL.len()],
    stopped: AtomicBool,
}

/// How a task failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskFailure {
    /// A step panicked. The task begins anew.
    Panicked,
    /// The runtime dropped the task.
    Dropped,
}

impl TaskHealth {
    /// Records that a task works.
    pub(crate) fn works(&self, task: TaskName) {
        if self.flag(task).swap(false, Ordering::AcqRel) {
            tracing::info!(target: "auth::setup", task = task.as_str(), "the task works again");
        }
    }

    /// Records and reports a failure, unless the tasks were stopped on purpose.
    pub(crate) fn failed(&self, task: TaskName, failure: TaskFailure) {
        if self.0.stopped.load(Ordering::Acquire) {
            return;
        }
        self.flag(task).store(true, Ordering::Release);
        metrics::task_failed(task);
        let task = task.as_str();
        match failure {
            TaskFailure::Panicked => {
                tracing::error!(target: "auth::setup", task, "the task panicked and begins anew");
            }
            TaskFailure::Dropped => tracing::error!(
                target: "auth::setup",
                task,
                "the runtime of the task has ended while its Auth is in use: \
                 await start() on the runtime that serves"
            ),
        }
    }

    /// Records that the tasks were stopped on purpose.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
    }

    /// Whether every task works.
    pub(crate) fn all_work(&self) -> bool {
        let failed = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        !failed(&self.0.stopped) && !self.0.failed.iter().any(failed)
    }

    fn flag(&self, task: TaskName) -> &AtomicBool {
        let [feed, keys, purge] = &self.0.failed;
        match task {
            TaskName::Feed => feed,
            TaskName::Keys => keys,
            TaskName::Purge => purge,
        }
    }
}
