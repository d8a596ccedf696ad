//! The model test: random histories with the memory store, shrunk when they break an invariant.
//! `PROPTEST_CASES=100000` makes it a long run.

use auth_core::testing::{Act, End, Fault, StoreOp, prove_history};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::kit::MemoryFixture;

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        12 => Just(None),
        1 => Just(Some((StoreOp::Load, Fault::Down))),
        1 => Just(Some((StoreOp::Write, Fault::Down))),
        2 => Just(Some((StoreOp::Write, Fault::LostAnswer))),
        1 => Just(Some((StoreOp::Revoke, Fault::Down))),
        1 => Just(Some((StoreOp::Revoke, Fault::LostAnswer))),
        1 => Just(Some((StoreOp::Raise, Fault::Down))),
        1 => Just(Some((StoreOp::Raise, Fault::LostAnswer))),
    ];
    let end = prop_oneof![
        Just(End::Logout),
        Just(End::Others),
        Just(End::All),
        Just(End::App),
    ];
    let end_fault = prop_oneof![
        3 => Just(None),
        1 => Just(Some((StoreOp::Revoke, Fault::Down))),
        1 => Just(Some((StoreOp::Revoke, Fault::LostAnswer))),
    ];
    prop_oneof![
        8 => any::<u8>().prop_map(Act::Send),
        8 => (any::<u8>(), any::<bool>(), fault)
            .prop_map(|(request, node, fault)| Act::Serve { request, node, fault }),
        5 => any::<u8>().prop_map(Act::Deliver),
        2 => any::<u8>().prop_map(Act::Lose),
        6 => any::<u8>().prop_map(Act::Wait),
        1 => any::<u8>().prop_map(Act::Login),
        1 => any::<u8>().prop_map(Act::Steal),
        2 => any::<u8>().prop_map(Act::UseStolen),
        2 => (end, any::<u8>(), any::<bool>(), end_fault)
            .prop_map(|(end, client, node, fault)| Act::End { end, client, node, fault }),
        1 => Just(Act::StopHalfWay),
        2 => any::<bool>().prop_map(Act::Follow),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(node, long)| Act::Redeploy { node, long }),
        1 => any::<u8>().prop_map(Act::StepBack),
        1 => any::<u8>().prop_map(Act::StepForward),
        1 => Just(Act::BackUp),
        1 => Just(Act::Restore),
    ]
}

/// Acts without attacks and ends: lost responses, tabs, time.
fn honest() -> impl Strategy<Value = Act> {
    prop_oneof![
        8 => any::<u8>().prop_map(Act::Send),
        8 => (any::<u8>(), any::<bool>())
            .prop_map(|(request, node)| Act::Serve { request, node, fault: None }),
        4 => any::<u8>().prop_map(Act::Deliver),
        4 => any::<u8>().prop_map(Act::Lose),
        6 => any::<u8>().prop_map(Act::Wait),
        1 => Just(Act::BackUp),
        1 => Just(Act::Restore),
    ]
}

fn prove(acts: &[Act]) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(prove_history(&MemoryFixture::quick(), acts))
        .map_err(|failure| TestCaseError::fail(failure.to_string()))
}

proptest! {
    #[test]
    fn i1_to_i6_hold_in_random_histories(acts in vec(act(), 1..120)) {
        prove(&acts)?;
    }

    #[test]
    fn i3_honest_clients_are_never_signed_out(acts in vec(honest(), 1..200)) {
        prove(&acts)?;
    }
}
