//! Payloads that no type can read: repeated names, and text that is not strict JSON.

use std::collections::HashMap;
use std::fmt;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::base::clock::Timestamp;
use crate::token::claims::parse::tests::*;

#[test]
fn a21_a_registered_name_twice_is_refused() {
    for name in REGISTERED {
        let value = match *name {
            "exp" | "nbf" | "iat" | "auth_time" | "epo" => "1",
            "amr" | "roles" => "[]",
            "und" => "true",
            _ => r#""x""#,
        };
        let escaped = format!(
            "\\u{:04x}{}",
            u32::from(name.chars().next().unwrap()),
            name.get(1..).unwrap()
        );
        for again in [*name, escaped.as_str()] {
            let twice = format!(r#"{{"exp_":0,"{name}":{value},"{again}":{value}}}"#);
            let refused = parse::<Value>(twice.as_bytes()).unwrap_err();
            assert_eq!(refused, Cause::Malformed, "{twice}");
        }
    }
}

#[test]
fn a21_a_private_name_twice_is_refused_whatever_t_looks_at() {
    let many = (0..40)
        .map(|i| format!(r#""k{i}":0"#))
        .collect::<Vec<_>>()
        .join(",");
    for twice in [
        r#""name":"alice","name":"bob""#.to_owned(),
        r#""name":"alice","n\u0061me":"bob""#.to_owned(),
        r#""n\u0061me":"alice","n\u0061me":"bob""#.to_owned(),
        r#""name":"alice","zz":0,"zz":0"#.to_owned(),
        format!(r#""name":"alice",{many},"k3":0"#),
        format!(r#""name":"alice",{many},"k39":0"#),
        format!(r#""name":"alice",{many},"\u006b39":0"#),
    ] {
        assert_eq!(read::<User>(&twice), Err(Cause::Malformed), "{twice}");
        assert_eq!(read::<Value>(&twice), Err(Cause::Malformed), "{twice}");
        assert_eq!(read::<()>(&twice), Err(Cause::Malformed), "{twice}");
    }
    assert_eq!(
        read::<User>(&format!(r#""name":"alice",{many}"#)),
        Ok(alice())
    );
}

#[test]
fn a21_an_error_that_t_swallows_still_refuses() {
    struct Careless;

    impl<'de> Deserialize<'de> for Careless {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Swallow;
            impl<'de> Visitor<'de> for Swallow {
                type Value = Careless;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("anything")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Careless, A::Error> {
                    while !matches!(map.next_key::<String>(), Ok(None)) {
                        let _ = map.next_value::<IgnoredAny>();
                    }
                    Ok(Careless)
                }
            }
            deserializer.deserialize_map(Swallow)
        }
    }

    assert!(read::<Careless>(r#""name":"alice""#).is_ok());
    for bad in [r#""sub":"a","sub":"b""#, r#""nbf":"x""#, r#""a":1,"a":2"#] {
        assert!(read::<Careless>(bad).is_err(), "{bad}");
    }
}

#[test]
fn a21_an_error_that_a_field_swallows_shifts_no_names() {
    #[derive(Debug)]
    struct Lax;
    impl<'de> Deserialize<'de> for Lax {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let _ = HashMap::<String, u8>::deserialize(deserializer);
            Ok(Self)
        }
    }
    #[derive(Debug, Deserialize)]
    struct Careless {
        #[allow(dead_code)]
        own: Lax,
    }
    assert!(read::<Careless>(r#""own":"x","sub":"alice""#).is_ok());
    // The parser stops inside the object. The rest must not be mistaken for top-level names.
    for inside in [
        r#"{"a":"x","sub":"admin"}"#,
        r#"{"a":{"b":1},"sub":"admin"}"#,
        r#"{"a":300,"sub":"admin"}"#,
        r#"[1,"sub","admin"]"#,
    ] {
        for more in [
            format!(r#""own":{inside}"#),
            format!(r#""own":{inside},"jti":"j""#),
            format!(r#""sub":"alice","own":{inside}"#),
        ] {
            assert!(read::<Careless>(&more).is_err(), "{more}");
        }
    }
}

/// Payloads that every type must refuse.
fn malformed() -> Vec<Vec<u8>> {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let mut all: Vec<Vec<u8>> = [
        payload(r#""x":"\ud800""#),
        payload(r#""x":{"y":["\udc00"]}"#),
        payload(r#""\ud800":0"#),
        payload(r#""x":1e400"#),
        payload(r#""x":[-1e400]"#),
        payload(&format!(r#""x":{}"#, "9".repeat(400))),
        payload(&format!(r#""x":{}"#, deep(200))),
        payload(&format!(r#""x":{}"#, deep(100_000))),
        payload(r#""x":01"#),
        payload(r#""x":1."#),
        payload(r#""x":+1"#),
        payload(r#""x":NaN"#),
        payload(r#""x":tru"#),
        payload(r#""x":'y'"#),
        payload(r#""x":"\x41""#),
        payload("\"x\":\"a\nb\""),
        payload("\"x\":\"a\0b\""),
        payload(r#""x":[1,]"#),
        payload(r#""x":{"y" 1}"#),
        payload(r#""x":1,"#),
        payload(r#"x:1"#),
        payload(r#"/* */"x":1"#),
        format!("\u{feff}{}", payload("")),
        format!("{} x", payload("")),
        format!("{}{}", payload(""), payload("")),
        format!("{}\0", payload("")),
        format!("[{}]", payload("")),
        payload("").trim_end_matches('}').to_owned(),
        "\"exp\"".to_owned(),
        "null".to_owned(),
        String::new(),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    all.push(
        payload("")
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
    );
    let mut invalid = payload(r#""x":"?""#).into_bytes();
    let at = invalid.iter().position(|&byte| byte == b'?').unwrap();
    for byte in [0xFF, 0xC0, 0x80] {
        invalid[at] = byte;
        all.push(invalid.clone());
    }
    all
}

#[test]
fn a23_malformed_payloads_are_refused_even_in_values_that_t_skips() {
    for bad in malformed() {
        let shown = String::from_utf8_lossy(&bad[..bad.len().min(80)]).into_owned();
        assert_eq!(parse::<()>(&bad).unwrap_err(), Cause::Malformed, "{shown}");
        assert_eq!(
            parse::<Value>(&bad).unwrap_err(),
            Cause::Malformed,
            "{shown}"
        );
        let map = parse::<HashMap<String, IgnoredAny>>(&bad);
        assert_eq!(map.unwrap_err(), Cause::Malformed, "{shown}");
    }
}

#[test]
fn a23_a_payload_of_nothing_but_names_takes_no_quadratic_time() {
    // 200 000 names: compared one by one, they would take 20 000 000 000 comparisons.
    let names = (0..200_000)
        .map(|i| format!(r#""k{i}":0"#))
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(read::<()>(&names), Ok(()));
}

/// JSON values, biased towards special cases of the parser.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC*".prop_map(Value::from),
        "[\\\\\"\\x00-\\x1f\u{1F600}]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{0,3}|\\PC{1,3}", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn a23_arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse::<Value>(&bytes);
        let _ = parse::<()>(&bytes);
    }

    #[test]
    fn a23_nearly_json_never_panics_and_is_read_no_more_laxly_than_as_a_value(
        text in r#"[{}\[\],:"\\u0-9deE.+\-expsubn ]{0,60}"#,
    ) {
        for text in [payload(&text), payload(&format!("\"x\":{text}")), text] {
            if parse::<()>(text.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
            }
        }
    }

    #[test]
    fn agrees_with_serde_json_on_valid_payloads(
        private in prop::collection::hash_map("[a-z]{1,4}|\\PC{1,3}", value(), 0..20),
        escape in any::<bool>(),
    ) {
        let mut expected = Value::from_iter(private);
        let object = expected.as_object_mut().unwrap();
        object.retain(|name, _| Registered::named(name).is_none());
        let mut whole = object.clone();
        whole.insert("exp".to_owned(), json!(1_800_000_000));
        let mut text = serde_json::to_string(&whole).unwrap();
        if escape {
            text = text
                .encode_utf16()
                .map(|unit| match u8::try_from(unit) {
                    Ok(ascii) if ascii.is_ascii() => char::from(ascii).to_string(),
                    _ => format!("\\u{unit:04x}"),
                })
                .collect();
        }
        let (registered, private) = parse::<Value>(text.as_bytes()).unwrap();
        // Numbers are compared as serde_json reads them back, which may differ from the generated
        // ones.
        let mut reread: Value = serde_json::from_str(&text).unwrap();
        reread.as_object_mut().unwrap().remove("exp");
        prop_assert_eq!(&private, &reread);
        prop_assert_eq!(registered.expires_at(), Timestamp::from_secs(1_800_000_000));
        prop_assert_eq!(parse::<()>(text.as_bytes()).map(|(registered, ())| registered), Ok(registered));
    }
}
