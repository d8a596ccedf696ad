//! What an honest client was answered, generation by generation, and whether that can be.
//!
//! 1. A generation is consumed once: at most one answer says `rotated` for it, and every other
//!    success for it names the same generation, until a `recovered` one takes its place.
//! 2. `fresh` names the generation that was presented.
//! 3. A generation is recovered at most three times.
//! 4. `resumed` means that the store lost what it had acknowledged: none of the stores may, as they
//!    are set up here.

use std::collections::HashMap;

use super::client::Grant;

/// The answers to one session.
#[derive(Clone, Debug, Default)]
pub struct History(HashMap<u32, Answers>);

#[derive(Clone, Debug, Default)]
struct Answers {
    rotated: u32,
    recovered: u32,
    successor: Option<u32>,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A generation was consumed twice.
    DoubleWin,
    /// It contradicts an earlier answer, or the table.
    Contradiction(&'static str),
}

impl History {
    /// Notes the answer to a token of generation `presented`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn note(&mut self, presented: u32, grant: &Grant) -> Result<(), Fault> {
        let answers = self.0.entry(presented).or_default();
        let same = answers
            .successor
            .is_none_or(|successor| successor == grant.generation);
        let fair = |fair, what| {
            if fair {
                Ok(())
            } else {
                Err(Fault::Contradiction(what))
            }
        };
        match grant.outcome.as_str() {
            "rotated" => {
                answers.rotated += 1;
                if answers.rotated > 1 {
                    return Err(Fault::DoubleWin);
                }
                fair(
                    grant.generation == presented + 1 && same,
                    "rotated to another",
                )?;
                answers.successor = Some(grant.generation);
                Ok(())
            }
            "replayed" | "held" => {
                fair(grant.generation > presented && same, "replayed to another")?;
                answers.successor = Some(grant.generation);
                Ok(())
            }
            "fresh" => fair(grant.generation == presented, "fresh, but another"),
            "recovered" => {
                answers.recovered += 1;
                answers.successor = Some(grant.generation);
                fair(grant.generation > presented, "recovered backwards")?;
                fair(answers.recovered <= 3, "recovered too often")
            }
            _ => fair(false, "an answer that cannot be"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(outcome: &str, generation: u32) -> Grant {
        Grant {
            outcome: outcome.to_owned(),
            generation,
        }
    }

    #[test]
    fn what_the_table_allows_is_fair() {
        let mut history = History::default();
        for (presented, outcome, generation) in [
            (0, "rotated", 1),
            (0, "replayed", 1),
            (1, "fresh", 1),
            (1, "held", 2),
            (1, "recovered", 3),
            (1, "replayed", 3),
            (3, "rotated", 4),
        ] {
            assert_eq!(history.note(presented, &grant(outcome, generation)), Ok(()));
        }
    }

    #[test]
    fn a_second_winner_and_a_second_successor_are_found() {
        let mut history = History::default();
        history.note(4, &grant("rotated", 5)).unwrap();
        assert!(history.note(4, &grant("replayed", 6)).is_err());
        assert!(history.note(5, &grant("fresh", 6)).is_err());
        assert!(history.note(5, &grant("resumed", 5)).is_err());
        let again = history.note(4, &grant("rotated", 5));
        assert_eq!(again, Err(Fault::DoubleWin));
    }
}
