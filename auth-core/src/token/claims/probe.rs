//! Detection of app types that declare a registered name, before any token is read.
//!
//! 1. `T` is deserialized from nothing, twice. A plain struct or enum reveals its names at once.
//! 2. A self-describing type (`flatten`, tags) is offered every registered name: a derived type that
//!    requests a definite type for such a value has declared the name.
//! 3. Then it is offered nothing, and may report a registered name as missing.
//! 4. Not detected: an optional registered name inside a flattened struct. It is never filled.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, MapAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;

use crate::base::config::ConfigError;
use crate::token::claims::{REGISTERED, Registered};

/// Checks that `T` declares no registered name.
///
/// # Errors
/// [`ConfigError`] that names the registered claim.
pub(crate) fn probe<T: DeserializeOwned>() -> Result<(), ConfigError> {
    let found = Cell::new(None);
    for offered in [REGISTERED, &[]] {
        let probe = Probe {
            offered,
            found: &found,
        };
        if let Err(Told(Some(missing))) = T::deserialize(probe) {
            found.set(found.get().or(Some(missing)));
        }
    }
    match found.get() {
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

/// The error of a probe: the registered name that the type reports as missing, if any.
#[derive(Debug)]
struct Told(Option<Registered>);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("probed")
    }
}

impl std::error::Error for Told {}

impl Error for Told {
    fn custom<M: fmt::Display>(_: M) -> Self {
        Self(None)
    }

    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self(None)
    }

    fn missing_field(field: &'static str) -> Self {
        Self(Registered::named(field))
    }
}

/// A payload with the names `offered`.
#[derive(Clone, Copy)]
struct Probe<'p> {
    offered: &'static [&'static str],
    found: &'p Cell<Option<Registered>>,
}

impl Probe<'_> {
    fn declares(&self, names: &[&str]) -> Told {
        if let Some(claim) = names.iter().find_map(|name| Registered::named(name)) {
            self.found.set(Some(claim));
        }
        Told(None)
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_map(Offer {
            probe: self,
            derived: Cell::new(false),
            last: "",
        })
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Told> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Told> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Told> {
        Err(self.declares(fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Told> {
        Err(self.declares(variants))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// Yields the offered names in order.
struct Offer<'p> {
    probe: Probe<'p>,
    /// Whether the last name was read the way derived code reads it. A map with string keys
    /// requests a string instead.
    derived: Cell<bool>,
    last: &'static str,
}

impl<'de> MapAccess<'de> for Offer<'_> {
    type Error = Told;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Told> {
        let Some((first, rest)) = self.probe.offered.split_first() else {
            return Ok(None);
        };
        self.probe.offered = rest;
        self.last = first;
        self.derived.set(false);
        seed.deserialize(OfferedName(self)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Told> {
        seed.deserialize(OfferedValue(self))
    }
}

struct OfferedName<'o, 'p>(&'o Offer<'p>);

impl<'de> Deserializer<'de> for OfferedName<'_, '_> {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        self.0.derived.set(true);
        visitor.visit_str(self.0.last)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_str(self.0.last)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_str(self.0.last)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct OfferedValue<'o, 'p>(&'o Offer<'p>);

impl OfferedValue<'_, '_> {
    fn wanted(&self) -> Told {
        if self.0.derived.get() {
            self.0.probe.declares(&[self.0.last])
        } else {
            Told(None)
        }
    }
}

/// Generates one method per definite type that `T` can request.
macro_rules! wanted {
    ($($method:ident($($argument:ty),*))*) => {
        $(fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Told> {
            Err(self.wanted())
        })*
    };
}

impl<'de> Deserializer<'de> for OfferedValue<'_, '_> {
    type Error = Told;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Told> {
        visitor.visit_unit()
    }

    wanted! {
        deserialize_bool() deserialize_char() deserialize_str() deserialize_string()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64() deserialize_bytes() deserialize_byte_buf()
        deserialize_option() deserialize_unit() deserialize_unit_struct(&'static str)
        deserialize_newtype_struct(&'static str) deserialize_seq() deserialize_tuple(usize)
        deserialize_tuple_struct(&'static str, usize) deserialize_map()
        deserialize_struct(&'static str, &'static [&'static str])
        deserialize_enum(&'static str, &'static [&'static str]) deserialize_identifier()
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
