//! The configuration of this node, and the document that follows from it.

use crate::base::clock::Timestamp;
use crate::base::config::ConfigError;
use crate::keys::Algorithm;
use crate::keys::rotation::document::Keys;
use crate::keys::rotation::plan::NewKey;
use crate::keys::rotation::schedule::{KeySchedule, RefreshKeySchedule, Timing};
use crate::keys::rotation::{material, plan};

/// The configuration of this node.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) schedule: KeySchedule,
    pub(crate) algorithm: Algorithm,
    pub(crate) refresh: Option<RefreshKeySchedule>,
    /// Keys that the app used before its first rotation.
    pub(crate) first_key: Option<NewKey>,
    pub(crate) first_refresh_key: Option<NewKey>,
}

impl Rules {
    pub(crate) fn refresh_timing(&self) -> Option<Timing> {
        let refresh = self.refresh.as_ref()?;
        Some(refresh.timing(&self.schedule))
    }

    /// The document as it should be now. `None` if it is up to date.
    pub(crate) fn next(&self, known: &Keys, now: Timestamp) -> Result<Option<Keys>, ConfigError> {
        let signing = plan::next(
            &known.signing,
            &self.schedule.timing(),
            now,
            |line| match &self.first_key {
                Some(first) if line.is_empty() => Ok(first.clone()),
                _ => material::new_signing_key(self.algorithm),
            },
            material::public_half,
        )?;
        let refresh = match self.refresh_timing() {
            Some(timing) => plan::next(
                &known.refresh,
                &timing,
                now,
                |line| match &self.first_refresh_key {
                    Some(first) if line.is_empty() => Ok(first.clone()),
                    _ => material::new_refresh_key(line),
                },
                |_| None,
            )?,
            None => None,
        };
        Ok((signing.is_some() || refresh.is_some()).then(|| Keys {
            signing: signing.unwrap_or_else(|| known.signing.clone()),
            refresh: refresh.unwrap_or_else(|| known.refresh.clone()),
        }))
    }

    pub(crate) fn rekeyed(&self, known: &Keys, now: Timestamp) -> Result<Keys, ConfigError> {
        let key = material::new_signing_key(self.algorithm)?;
        Ok(Keys {
            signing: plan::anew(key, &self.schedule.timing(), now),
            refresh: known.refresh.clone(),
        })
    }
}
