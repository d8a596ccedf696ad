//! Parsing of a payload in one pass.
//!
//! [`Payload`] sits between the app's type and the JSON parser. `T` may request any shape: the
//! parser reads an object, and `T` receives it without the registered claims.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer,
    MapAccess, Visitor,
};

use crate::base::error::Cause;
use crate::base::strict_json::is_strict;
use crate::token::claims::names::{Name, Names};
use crate::token::claims::{Dialect, REGISTERED, Registered, RegisteredClaims};

/// Parses the payload of a token whose signature has been verified.
///
/// # Errors
/// - [`Cause::Malformed`]: not UTF-8, not strict JSON, not an object, or a repeated name.
/// - [`Cause::Claims`]: a registered claim has the wrong type.
/// - [`Cause::MissingExpiry`]: `exp` is missing.
/// - [`Cause::ClaimsType`]: the app's own claims do not deserialize to `T`.
pub(crate) fn parse<T: DeserializeOwned>(
    payload: &[u8],
    dialect: Dialect,
) -> Result<(RegisteredClaims, T), Cause> {
    let json = std::str::from_utf8(payload).map_err(|_| Cause::Malformed)?;
    if !is_strict(json) {
        return Err(Cause::Malformed);
    }
    let mut split = Split::new(dialect);
    let mut parser = serde_json::Deserializer::from_str(json);
    let private = T::deserialize(Payload {
        parser: &mut parser,
        split: &mut split,
    });
    let private = private.map_err(|error| split.blame(&error))?;
    parser.end().map_err(|_| Cause::Malformed)?;
    split.finish().map(|registered| (registered, private))
}

/// The error for claims that cannot be the app's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// The claims contain this registered claim.
    Registered(&'static str),
    /// The claims are not an object of strict JSON with distinct names.
    Shape,
}

/// Checks the app's own claims before they are put into a token, by the rules of [`parse`].
pub(crate) fn check_private(json: &str) -> Result<(), Unfit> {
    let mut split = Split::new(Dialect::Own);
    let mut parser = serde_json::Deserializer::from_str(json);
    let read = <()>::deserialize(Payload {
        parser: &mut parser,
        split: &mut split,
    });
    if let Some(name) = REGISTERED.get(split.seen.trailing_zeros() as usize) {
        return Err(Unfit::Registered(name));
    }
    read.and_then(|()| parser.end()).map_err(|_| Unfit::Shape)?;
    if is_strict(json) {
        Ok(())
    } else {
        Err(Unfit::Shape)
    }
}

/// The state of parsing a payload.
struct Split<'de> {
    dialect: Dialect,
    registered: RegisteredClaims,
    seen: u32,
    names: Names<'de>,
    is_object: bool,
    /// The cause of refusal, kept even if `T` swallows the error.
    refused: Option<Cause>,
}

impl<'de> Split<'de> {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            registered: RegisteredClaims::default(),
            seen: 0,
            names: Names::default(),
            is_object: false,
            refused: None,
        }
    }

    /// The next private name. Registered claims before it are consumed.
    fn next_name<A: MapAccess<'de>>(
        &mut self,
        map: &mut A,
    ) -> Result<Option<Cow<'de, str>>, A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let registered = self.dialect.registered(&name);
            let fresh = match registered {
                Some(claim) => self.note(claim),
                None => self.names.insert(name.clone()),
            };
            if !fresh {
                self.refused.get_or_insert(Cause::Malformed);
                return Err(A::Error::custom("a name appears twice"));
            }
            let Some(claim) = registered else {
                return Ok(Some(name));
            };
            if let Err(error) = self.registered.read(claim, self.dialect, map) {
                self.refused.get_or_insert(Cause::Claims);
                return Err(error);
            }
        }
        Ok(None)
    }

    /// Records `claim`. Returns false if it was already present.
    fn note(&mut self, claim: Registered) -> bool {
        let fresh = self.seen & claim.bit() == 0;
        self.seen |= claim.bit();
        fresh
    }

    fn blame(&self, error: &serde_json::Error) -> Cause {
        if error.is_data() && self.is_object {
            self.refused.unwrap_or(Cause::ClaimsType)
        } else {
            Cause::Malformed
        }
    }

    fn finish(self) -> Result<RegisteredClaims, Cause> {
        match self.refused {
            Some(cause) => Err(cause),
            None if !self.is_object => Err(Cause::Malformed),
            None if self.seen & Registered::Expires.bit() == 0 => Err(Cause::MissingExpiry),
            None => Ok(self.registered),
        }
    }
}

/// The whole payload, as presented to `T`.
struct Payload<'s, 'de, D> {
    parser: D,
    split: &'s mut Split<'de>,
}

impl<'de, D: Deserializer<'de>> Payload<'_, 'de, D> {
    fn read<V: Visitor<'de>>(self, shape: Shape, visitor: V) -> Result<V::Value, D::Error> {
        self.parser.deserialize_map(Object {
            shape,
            visitor,
            split: self.split,
        })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Payload<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.read(Shape::Map, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.read(Shape::Unit, visitor)
    }

    fn deserialize_unit_struct<V>(self, _: &str, visitor: V) -> Result<V::Value, D::Error>
    where
        V: Visitor<'de>,
    {
        self.read(Shape::Unit, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V>(self, _: &str, visitor: V) -> Result<V::Value, D::Error>
    where
        V: Visitor<'de>,
    {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V>(self, _: &str, _: &[&str], visitor: V) -> Result<V::Value, D::Error>
    where
        V: Visitor<'de>,
    {
        self.read(Shape::Enum, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The shape in which `T` reads the private claims.
#[derive(Clone, Copy)]
enum Shape {
    /// An externally tagged enum: exactly one private claim, whose name is the variant.
    Enum,
    /// A struct, a map or a self-describing type.
    Map,
    /// No claims.
    Unit,
}

/// Passes the object to `T` and reads the rest.
struct Object<'s, 'de, V> {
    shape: Shape,
    visitor: V,
    split: &'s mut Split<'de>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<'_, 'de, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<V::Value, A::Error> {
        self.split.is_object = true;
        let mut private = Private {
            map: &mut map,
            split: self.split,
        };
        let value = match self.shape {
            Shape::Map => self.visitor.visit_map(&mut private)?,
            Shape::Unit => self.visitor.visit_unit()?,
            Shape::Enum => {
                let variant = MapAccessDeserializer::new(&mut private);
                let value = variant.deserialize_enum("", &[], self.visitor)?;
                if private.next_key::<IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom("more than one variant"));
                }
                value
            }
        };
        // Names that `T` does not read.
        while private.next_key::<IgnoredAny>()?.is_some() {
            private.next_value::<IgnoredAny>()?;
        }
        Ok(value)
    }
}

/// The object of the payload, without the registered claims.
struct Private<'a, 'de, A> {
    map: &'a mut A,
    split: &'a mut Split<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Private<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error>
    where
        K: DeserializeSeed<'de>,
    {
        match self.split.next_name(self.map)? {
            Some(name) => seed.deserialize(name.into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests;
