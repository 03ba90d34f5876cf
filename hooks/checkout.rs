//! The hooks of the sample suites: the group `checkout`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use softprobe::Hooks;
use softprobe::hook::{Issue, RequestChange, ResponseChange};

/// Returns the hooks of the group.
pub(crate) fn hooks() -> Hooks {
    Hooks::new()
        // Captures mask card numbers, so a replay has to send one that the application accepts.
        .request("checkout.unmask_card", |request, context| {
            let card = context.env.get("TEST_CARD").ok_or("TEST_CARD is not set")?;
            let mut order: Value = serde_json::from_slice(&request.body)?;
            order["card"]["number"] = card.as_str().into();
            Ok(RequestChange::new().body(order.to_string()))
        })
        // The application rejects an authorization older than five minutes.
        .mock_response("checkout.fresh_authorization", |mock, _| {
            let mut charge: Value = serde_json::from_slice(&mock.captured_response.body)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            charge["authorized_at"] = now.into();
            Ok(ResponseChange::new().body(charge.to_string()))
        })
        .assert_body("checkout.totals_match_items", |actual, _, _| {
            let goods: i64 = actual["items"]
                .as_array()
                .ok_or("the answer has no items")?
                .iter()
                .map(|item| {
                    item["cents"].as_i64().unwrap_or(0) * item["quantity"].as_i64().unwrap_or(1)
                })
                .sum();
            let wanted = goods + actual["shipping"].as_i64().unwrap_or(0);
            Ok(match actual["total"].as_i64() {
                Some(total) if total == wanted => vec![],
                _ => vec![
                    Issue::new(
                        "$.total",
                        "the total is not the sum of the items and shipping",
                    )
                    .expected(wanted)
                    .actual(actual["total"].clone()),
                ],
            })
        })
}
