//! Shapes of an app's own type.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::token::claims::parse::tests::*;

#[test]
fn a36_a_claims_type_that_does_not_fit_is_its_own_cause() {
    assert_eq!(read::<User>(""), Err(Cause::ClaimsType));
    assert_eq!(read::<User>(r#""name":7"#), Err(Cause::ClaimsType));
    assert_eq!(read::<Vec<u8>>(""), Err(Cause::ClaimsType));
    assert_eq!(read::<String>(""), Err(Cause::ClaimsType));
    // Registered names never reach T, so they cannot fill its fields.
    #[derive(Debug, PartialEq, Deserialize)]
    struct Thief {
        sub: String,
    }
    assert_eq!(read::<Thief>(r#""sub":"a""#), Err(Cause::ClaimsType));
}

#[test]
fn t_may_be_unit_struct_map_value_option_or_newtype() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Deserialize)]
    struct Newtype(User);
    let more = r#""sub":"s","name":"alice","x":[1,{"exp":2}]"#;
    let private = json!({"name": "alice", "x": [1, {"exp": 2}]});

    assert_eq!(read::<()>(more), Ok(()));
    assert_eq!(read::<Unit>(more), Ok(Unit));
    assert_eq!(read::<User>(more), Ok(alice()));
    assert_eq!(read::<Newtype>(more), Ok(Newtype(alice())));
    assert_eq!(read::<Option<User>>(more), Ok(Some(alice())));
    assert_eq!(
        read::<Option<Option<Newtype>>>(more),
        Ok(Some(Some(Newtype(alice()))))
    );
    assert_eq!(read::<Box<User>>(more), Ok(Box::new(alice())));
    assert_eq!(read::<Value>(more), Ok(private.clone()));
    let map = read::<HashMap<String, Value>>(more).unwrap();
    assert_eq!(Value::from_iter(map), private);
    assert!(read::<IgnoredAny>(more).is_ok());
}

#[test]
fn t_may_be_a_tagged_enum() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind")]
    enum Internal {
        User { name: String },
        Robot,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", content = "of")]
    enum Adjacent {
        User(User),
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number { number: u8 },
        User(User),
    }
    let name = "alice".to_owned();
    assert_eq!(
        read(r#""name":"alice","sub":"s","kind":"User""#),
        Ok(Internal::User { name })
    );
    assert_eq!(read(r#""kind":"Robot","x":1"#), Ok(Internal::Robot));
    assert_eq!(
        read::<Internal>(r#""kind":"Ghost""#),
        Err(Cause::ClaimsType)
    );
    assert_eq!(
        read(r#""of":{"name":"alice"},"kind":"User""#),
        Ok(Adjacent::User(alice()))
    );
    assert_eq!(read(r#""number":3"#), Ok(Untagged::Number { number: 3 }));
    assert_eq!(read(r#""name":"alice""#), Ok(Untagged::User(alice())));
}

#[test]
fn t_may_be_an_externally_tagged_enum() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum External {
        Unit,
        User(User),
        Pair(u8, u8),
        Named { name: String },
    }
    let named = External::Named {
        name: "alice".to_owned(),
    };
    assert_eq!(
        read(r#""sub":"s","unit":null,"jti":"j""#),
        Ok(External::Unit)
    );
    assert_eq!(
        read(r#""user":{"name":"alice"},"sub":"s""#),
        Ok(External::User(alice()))
    );
    assert_eq!(read(r#""pair":[1,2]"#), Ok(External::Pair(1, 2)));
    assert_eq!(read(r#""n\u0061med":{"name":"alice"}"#), Ok(named));
    for bad in [
        "",
        r#""unit":1"#,
        r#""ghost":1"#,
        r#""pair":[1,2],"unit":null"#,
    ] {
        assert_eq!(read::<External>(bad), Err(Cause::ClaimsType), "{bad}");
    }
    let twice = r#""unit":null,"unit":null"#;
    assert_eq!(read::<External>(twice), Err(Cause::Malformed));
}

#[test]
fn t_may_flatten_and_deny_unknown_fields() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Flat {
        #[serde(flatten)]
        user: User,
        #[serde(flatten)]
        rest: HashMap<String, Value>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        name: String,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct StrictFlat {
        #[serde(flatten)]
        strict: Strict,
    }
    let flat = read::<Flat>(r#""name":"alice","sub":"s","x":"\u00e9""#).unwrap();
    assert_eq!(flat.user, alice());
    assert_eq!(flat.rest["x"], json!("é"));
    assert!(!flat.rest.contains_key("sub") && !flat.rest.contains_key("exp"));
    let strict = Strict {
        name: "alice".to_owned(),
    };
    assert_eq!(
        read(r#""name":"alice","sub":"s""#),
        Ok(StrictFlat { strict })
    );
    assert_eq!(
        read::<Strict>(r#""name":"alice","zz":0"#),
        Err(Cause::ClaimsType)
    );
    assert!(read::<StrictFlat>(r#""name":"alice","zz":0"#).is_err());
}
