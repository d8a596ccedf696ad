//! Names and contents that stores are known to confuse.

use crate::base::id::SessionId;
use crate::session::store::record::SessionDetails;
use crate::session::store::{NewSession, RefreshStore as _};
use crate::testing::store_kit::{Broken, Trial, ensure, ensure_eq, session, step};

pub(super) async fn subjects_that_look_alike_are_different(
    trial: &Trial<'_>,
) -> Result<(), Broken> {
    let long = "x".repeat(200);
    let longer = format!("{long}y");
    let names = [
        "a",
        "A",
        "a ",
        " a",
        "a\t",
        "a:b",
        "a:",
        "{a}",
        "a}",
        "a*",
        "a%",
        "a_",
        "a'",
        "a\"",
        "a\\",
        "a\\u0000",
        "a;--",
        "á",
        "a\u{301}",
        "ａ",
        "ß",
        "ss",
        "ı",
        "i",
        "İ",
        "\u{feff}a",
        "a\u{200b}",
        "𝒶",
        "🦀",
        "null",
        "0",
        "00",
        &long,
        &longer,
    ];
    let mut expected = Vec::new();
    for name in names {
        let subject = trial.subject(name);
        expected.push((trial.insert(&subject).await?, subject));
    }
    for (id, subject) in &expected {
        ensure_eq(
            &trial.list(subject).await?,
            &vec![*id],
            "a subject has its own sessions only",
        )?;
        let kept = trial.record(*id).await?.subject;
        ensure(*kept == **subject, "a subject is stored byte by byte")?;
    }
    let Some((first, subject)) = expected.first() else {
        return Ok(());
    };
    trial.end_all(subject, None).await?;
    ensure(
        !trial.is_live(*first).await?,
        "the sessions of one subject end",
    )?;
    for (id, subject) in expected.iter().skip(1) {
        ensure(
            trial.is_live(*id).await?,
            "the sessions of other subjects stay live",
        )?;
        ensure_eq(
            &trial.store.subject_version(subject).await?,
            &0,
            "their subject version is unchanged",
        )?;
    }
    Ok(())
}

pub(super) async fn ids_that_look_alike_are_different(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let base = *trial.id().as_bytes();
    let mut ids = Vec::new();
    for (at, byte) in [
        (15, 0x00),
        (15, 0x0a),
        (15, 0x27),
        (15, 0xff),
        (8, 0x3a),
        (9, 0x80),
    ] {
        let mut bytes = base;
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        if let Some(place) = bytes.get_mut(10) {
            *place = 0xee;
        }
        ids.push(SessionId::from_bytes(bytes));
    }
    for id in &ids {
        trial
            .insert_as(NewSession {
                id: *id,
                ..session(&ada)
            })
            .await?;
    }
    let Some((first, rest)) = ids.split_first() else {
        return Ok(());
    };
    let row = trial.record(*first).await?;
    trial.store.advance(&step(&row)).await?;
    for id in rest {
        let row = trial.record(*id).await?;
        ensure_eq(
            &(row.id, row.generation.get()),
            &(*id, 0),
            "each session has its own row",
        )?;
    }
    Ok(())
}

pub(super) async fn details_survive_whatever_is_in_them(trial: &Trial<'_>) -> Result<(), Broken> {
    let ada = trial.subject("ada");
    let texts = [
        String::new(),
        "\u{0}".into(),
        "'; DROP TABLE sessions; --".into(),
        "\"\\\r\n\u{7f}\u{2028}".into(),
        "🦀 ünïcödé \u{10ffff}".into(),
        "x".repeat(16 * 1024),
        "\u{1}".repeat(4 * 1024),
    ];
    for text in texts {
        let mut details = SessionDetails::default();
        details.set_label(&text);
        details.set_user_agent(&text);
        details.set_ip(&text);
        details.data = Some(serde_json::json!({ "text": text, "n": [1, -1, 1.5, null] }));
        let id = trial.id();
        trial
            .insert_as(NewSession {
                id,
                details: &details,
                ..session(&ada)
            })
            .await?;
        let row = trial.record(id).await?;
        ensure(
            row.details == details,
            "details are loaded as they were stored",
        )?;
        trial.store.advance(&step(&row)).await?;
        let row = trial.record(id).await?;
        ensure(row.details == details, "details survive a rotation")?;
    }
    Ok(())
}
