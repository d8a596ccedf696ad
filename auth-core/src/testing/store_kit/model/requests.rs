//! Requests in flight: sent, served, delivered, lost.

use std::time::Duration;

use crate::testing::store_kit::model::{
    Broken, History, MOST_LOST_IN_A_ROW, MOST_REQUESTS, ModelRequest, ModelResponse,
};
use crate::testing::{Fault, StoreOp};

impl History<'_> {
    pub(super) fn send(&mut self, client: usize) {
        let jar = self.clients.get(client).and_then(|c| c.jar.clone());
        if let Some(token) = jar
            && self.requests.len() < MOST_REQUESTS
        {
            self.requests.push(ModelRequest {
                client,
                token,
                age: Duration::ZERO,
                answer: None,
            });
        }
    }

    /// Index of the `which`-th request with or without a response.
    pub(super) fn pick(&self, which: u8, answered: bool) -> Option<usize> {
        let fitting: Vec<_> = (0..self.requests.len())
            .filter(|at| {
                self.requests
                    .get(*at)
                    .is_some_and(|request| request.answer.is_some() == answered)
            })
            .collect();
        let count = fitting.len().max(1);
        fitting.get(usize::from(which) % count).copied()
    }

    pub(super) async fn serve(
        &mut self,
        which: u8,
        node: bool,
        fault: Option<(StoreOp, Fault)>,
    ) -> Result<(), Broken> {
        let Some(at) = self.pick(which, false) else {
            return Ok(());
        };
        let Some(token) = self.requests.get(at).map(|request| request.token.clone()) else {
            return Ok(());
        };
        let answer = self.present(&token, node, fault).await?;
        if let Some(request) = self.requests.get_mut(at) {
            request.answer = Some(answer);
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, which: u8) {
        let Some(at) = self.pick(which, true) else {
            return;
        };
        let request = self.requests.remove(at);
        let Some(client) = self.clients.get_mut(request.client) else {
            return;
        };
        match request.answer {
            Some(ModelResponse::NewToken(token)) => {
                client.jar = Some(token);
                client.lost_in_a_row = 0;
            }
            Some(ModelResponse::Over) => client.jar = None,
            Some(ModelResponse::Nothing) | None => {}
        }
    }

    pub(super) fn lose(&mut self, which: u8) {
        let at = self.pick(which, true).or_else(|| self.pick(which, false));
        let Some(at) = at else {
            return;
        };
        let Some(request) = self.requests.get(at) else {
            return;
        };
        let Some(client) = self.clients.get_mut(request.client) else {
            return;
        };
        if matches!(request.answer, Some(ModelResponse::NewToken(_))) {
            if client.lost_in_a_row >= MOST_LOST_IN_A_ROW {
                return;
            }
            client.lost_in_a_row += 1;
        }
        self.requests.remove(at);
    }

    /// Lets time pass. Responses that would exceed the deadline are delivered first or lost.
    pub(super) fn wait(&mut self, by: Duration) {
        while let Some(at) = self
            .requests
            .iter()
            .position(|request| request.age.saturating_add(by) > self.deadline)
        {
            if self.requests.get(at).is_some_and(|r| r.answer.is_some()) {
                let request = self.requests.remove(at);
                self.requests.insert(0, request);
                self.deliver_first();
            } else {
                self.requests.remove(at);
            }
        }
        for request in &mut self.requests {
            request.age = request.age.saturating_add(by);
        }
        self.true_time = self.true_time.saturating_add(by);
        self.trial.advance_clock(by);
    }

    /// Delivers the first request, which has a response.
    pub(super) fn deliver_first(&mut self) {
        self.deliver(0);
    }
}
