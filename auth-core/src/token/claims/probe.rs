//! Detection of app types that declare a registered name, before any token is read.
//!
//! 1. `T` is deserialized from a payload of all registered names, then from an empty one. A plain
//!    struct or enum reveals its names at once.
//! 2. A self-describing type (`flatten`, tags) receives the names with a value that no declared
//!    field accepts. A name without meaning comes first: a map rejects the value already there.
//! 3. From the empty payload, it may report a registered name as missing.
//! 4. Not detected: an optional registered name inside a flattened struct. It is never filled.

use std::cell::Cell;
use std::fmt;

use serde::de::value::{BytesDeserializer, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::base::config::ConfigError;
use crate::token::claims::{REGISTERED, Registered};

/// Checks that `T` declares no registered name.
///
/// # Errors
/// [`ConfigError`] that names the registered claim.
pub(crate) fn probe<T: DeserializeOwned>() -> Result<(), ConfigError> {
    let declared = &Cell::new(None);
    let all = [&[""], REGISTERED].concat();
    for names in [&*all, &[]] {
        let payload = Payload {
            names,
            last: "",
            declared,
        };
        if let Err(Missing(Some(claim))) = T::deserialize(payload) {
            declared.set(Some(claim));
        }
    }
    match declared.get() {
        None => Ok(()),
        Some(claim) => Err(ConfigError::new(
            "claims",
            format!(
                "the claims type declares `{}`, a registered claim that it would never receive; \
                 read it from `Authenticated` instead",
                claim.name()
            ),
        )),
    }
}

/// The error of a probe, with the registered name that the type reports as missing, if any.
#[derive(Debug, thiserror::Error)]
#[error("probed")]
struct Missing(Option<Registered>);

impl Error for Missing {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self(None)
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Registered::named(field))
    }
}

/// A payload with these names.
struct Payload<'p> {
    names: &'p [&'static str],
    last: &'static str,
    /// Kept even if `T` swallows the error.
    declared: &'p Cell<Option<Registered>>,
}

impl Payload<'_> {
    fn refuse(&self, names: &[&str]) -> Missing {
        if let Some(claim) = names.iter().find_map(|name| Registered::named(name)) {
            self.declared.set(Some(claim));
        }
        Missing(None)
    }
}

impl<'de> Deserializer<'de> for Payload<'_> {
    type Error = Missing;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Missing> {
        visitor.visit_map(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Missing> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V>(self, _: &str, visitor: V) -> Result<V::Value, Missing>
    where
        V: Visitor<'de>,
    {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V>(self, _: &str, fields: &[&str], _: V) -> Result<V::Value, Missing>
    where
        V: Visitor<'de>,
    {
        Err(self.refuse(fields))
    }

    fn deserialize_enum<V>(self, _: &str, variants: &[&str], _: V) -> Result<V::Value, Missing>
    where
        V: Visitor<'de>,
    {
        Err(self.refuse(variants))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Payload<'_> {
    type Error = Missing;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, Missing>
    where
        K: DeserializeSeed<'de>,
    {
        let Some((first, rest)) = self.names.split_first() else {
            return Ok(None);
        };
        (self.last, self.names) = (first, rest);
        seed.deserialize(StrDeserializer::new(first)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Missing> {
        let value = BytesDeserializer::new(b"\xff");
        seed.deserialize(value)
            .map_err(|_: Missing| self.refuse(&[self.last]))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    fn names<T: DeserializeOwned>(name: &str) -> bool {
        probe::<T>().is_err_and(|error| error.to_string().contains(&format!("`{name}`")))
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Own {
        sub: String,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    struct Fine {
        name: String,
    }

    #[test]
    fn plain_shapes_that_declare_a_registered_name_are_found() {
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Renamed {
            #[serde(rename = "exp")]
            expiry: Option<u64>,
        }
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Newtype(Option<Own>);
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(dead_code)]
        enum External {
            Name(u8),
            Scope(u8),
        }
        assert!(names::<Own>("sub"));
        assert!(names::<Renamed>("exp"));
        assert!(names::<Newtype>("sub"));
        assert!(names::<External>("scope"));
    }

    #[test]
    fn flattened_and_tagged_shapes_that_declare_a_registered_name_are_found() {
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Outer {
            roles: Option<Vec<String>>,
            #[serde(flatten)]
            rest: HashMap<String, Value>,
        }
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Inner {
            #[serde(flatten)]
            own: Own,
        }
        #[derive(Deserialize)]
        #[serde(tag = "acr")]
        #[allow(dead_code)]
        enum Tagged {
            A { name: String },
        }
        assert!(names::<Outer>("roles"));
        assert!(names::<Inner>("sub"));
        assert!(names::<Tagged>("acr"));
    }

    #[test]
    fn shapes_that_leave_the_registered_names_alone_pass() {
        #[derive(Deserialize)]
        struct Unit;
        #[derive(Deserialize)]
        #[allow(dead_code)]
        struct Flat {
            name: String,
            #[serde(flatten)]
            fine: Fine,
            #[serde(flatten)]
            rest: HashMap<String, String>,
        }
        #[derive(Deserialize)]
        #[serde(tag = "kind")]
        #[allow(dead_code)]
        enum Tagged {
            A { name: String },
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        #[allow(dead_code)]
        enum Untagged {
            A(Fine),
            B(HashMap<String, u8>),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code)]
        struct Strict {
            name: Option<String>,
        }
        probe::<()>().unwrap();
        probe::<Unit>().unwrap();
        probe::<Fine>().unwrap();
        probe::<Option<Fine>>().unwrap();
        probe::<Flat>().unwrap();
        probe::<Tagged>().unwrap();
        probe::<Untagged>().unwrap();
        probe::<Strict>().unwrap();
        probe::<Value>().unwrap();
        probe::<HashMap<String, String>>().unwrap();
        probe::<HashMap<String, Vec<u8>>>().unwrap();
    }
}
