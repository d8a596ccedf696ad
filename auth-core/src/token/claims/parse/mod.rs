//! Parsing of a payload in one pass.
//!
//! [`Payload`] sits between the app's type and the JSON parser. `T` may request any shape: the
//! parser reads an object, and `T` receives it without the registered claims.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, IgnoredAny, MapAccess,
    VariantAccess, Visitor,
};

use crate::base::error::Cause;
use crate::base::strict_json::is_strict;
use crate::token::claims::names::Names;
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
        while let Some(name) = map.next_key_seed(Name)? {
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

    /// Reads to the end of the object, past names that `T` does not read.
    fn drain<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        while self.next_name(map)?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
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

/// A name. Borrowed unless it contains escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The whole payload, as presented to `T`.
struct Payload<'s, 'de, D> {
    parser: D,
    split: &'s mut Split<'de>,
}

impl<'de, D: Deserializer<'de>> Payload<'_, 'de, D> {
    fn object<G: Give<'de>>(self, give: G) -> Result<G::Value, D::Error> {
        self.parser.deserialize_map(Object {
            give,
            split: self.split,
        })
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Payload<'_, 'de, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.object(AsMap(visitor))
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.object(AsUnit(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.object(AsUnit(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.object(AsEnum(visitor))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The shape in which `T` reads the private claims.
trait Give<'de> {
    type Value;

    fn give<A: MapAccess<'de>>(self, private: Private<'_, 'de, A>)
    -> Result<Self::Value, A::Error>;
}

/// A map: for structs, maps and self-describing types.
struct AsMap<V>(V);

impl<'de, V: Visitor<'de>> Give<'de> for AsMap<V> {
    type Value = V::Value;

    fn give<A: MapAccess<'de>>(self, private: Private<'_, 'de, A>) -> Result<V::Value, A::Error> {
        self.0.visit_map(private)
    }
}

/// A unit: no claims.
struct AsUnit<V>(V);

impl<'de, V: Visitor<'de>> Give<'de> for AsUnit<V> {
    type Value = V::Value;

    fn give<A: MapAccess<'de>>(self, _: Private<'_, 'de, A>) -> Result<V::Value, A::Error> {
        self.0.visit_unit()
    }
}

/// An externally tagged enum: exactly one private claim, whose name is the variant.
struct AsEnum<V>(V);

impl<'de, V: Visitor<'de>> Give<'de> for AsEnum<V> {
    type Value = V::Value;

    fn give<A: MapAccess<'de>>(
        self,
        mut private: Private<'_, 'de, A>,
    ) -> Result<V::Value, A::Error> {
        let value = self.0.visit_enum(Private {
            map: &mut *private.map,
            split: &mut *private.split,
        })?;
        match private.next_key::<IgnoredAny>()? {
            None => Ok(value),
            Some(_) => Err(A::Error::custom("more than one variant")),
        }
    }
}

/// Passes the object to `T` and reads the rest.
struct Object<'s, 'de, G> {
    give: G,
    split: &'s mut Split<'de>,
}

impl<'de, G: Give<'de>> Visitor<'de> for Object<'_, 'de, G> {
    type Value = G::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of claims")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<G::Value, A::Error> {
        self.split.is_object = true;
        let value = self.give.give(Private {
            map: &mut map,
            split: self.split,
        })?;
        self.split.drain(&mut map)?;
        Ok(value)
    }
}

/// The object of the payload, without the registered claims.
struct Private<'a, 'de, A> {
    map: &'a mut A,
    split: &'a mut Split<'de>,
}

/// Passes the name of a private claim to a seed of the app.
fn give_name<'de, K: DeserializeSeed<'de>, E: Error>(
    name: Cow<'de, str>,
    seed: K,
) -> Result<K::Value, E> {
    match name {
        Cow::Borrowed(name) => seed.deserialize(BorrowedStrDeserializer::new(name)),
        Cow::Owned(_) => seed.deserialize(CowStrDeserializer::new(name)),
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Private<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.split.next_name(self.map)? {
            Some(name) => give_name(name, seed).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> EnumAccess<'de> for Private<'_, 'de, A> {
    type Error = A::Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Self), A::Error> {
        match self.next_key_seed(seed)? {
            Some(variant) => Ok((variant, self)),
            None => Err(A::Error::custom("no variant")),
        }
    }
}

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Private<'_, 'de, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.map.next_value()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        self.map.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(TupleSeed(len, visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(StructSeed(fields, visitor))
    }
}

struct TupleSeed<V>(usize, V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for TupleSeed<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_tuple(self.0, self.1)
    }
}

struct StructSeed<V>(&'static [&'static str], V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for StructSeed<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_struct("", self.0, self.1)
    }
}

#[cfg(test)]
mod tests;
