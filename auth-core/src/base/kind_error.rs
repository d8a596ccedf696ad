//! [`KindError`]: the common part of errors with a kind and a source.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// An error in its boxed form.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// A kind of errors with a fixed text.
pub(crate) trait ErrorKind: Copy + fmt::Debug {
    /// The text, which contains nothing from outside.
    fn text(self) -> &'static str;
}

/// An error of a kind, with its source for operators. `Display` and `Debug` show the kind only.
#[derive(Clone)]
pub(crate) struct KindError<K> {
    kind: K,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl<K: ErrorKind> KindError<K> {
    pub(crate) fn new(kind: K) -> Self {
        Self { kind, source: None }
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    pub(crate) fn kind(&self) -> K {
        self.kind
    }
}

impl<K: ErrorKind> fmt::Debug for KindError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<K: ErrorKind> fmt::Display for KindError<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl<K: ErrorKind> Error for KindError<K> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source = self.source.as_deref();
        source.map(|source| source as &(dyn Error + 'static))
    }
}
