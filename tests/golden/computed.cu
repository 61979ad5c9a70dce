// computed
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axis<2, Spread<TW_SPREAD_k>, TW_STEP_k, TW_EVEN_k> Axis_k;
typedef Axes<Axis_m> Axes_m;
typedef Axes<Axis_m, Axis_n> Axes_m_n;
typedef Axes<Axis_m, Axis_k> Axes_m_k;
typedef Axes<Axis_k, Axis_n> Axes_k_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    int n_first, n_last, n_programs;
    Tensor<const f32, 2> arg_x;
    Tensor<const f32, 2> arg_y;
    Tensor<const i32, 1> arg_ids;
    Tensor<f32, 2> arg_out;
    int dim_M;
    int dim_N;
    int dim_K;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS, 1)
computed(const __grid_constant__ Arguments args) {
    // for (m, n) in tile((M, N))
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    // Programs that share operands run close together, so that these stay in the cache.
    const Place2 place = grouped(program, args.m_programs, args.n_programs);
    Axis_m m;
    m.at(args.m_first + place.row * Axis_m::step, args.m_last);
    Axis_n n;
    n.at(args.n_first + place.column * Axis_n::step, args.n_last);
    program /= unsigned(args.m_programs) * unsigned(args.n_programs);
    Axis_k k;
    (void)program;
    Tile<f32, Axes_m_n> acc;
    each(Axes_m_n, i) {
        const f32 v1 = 0e0f;
        // let mut acc = zeros::<f32> ((m, n));
        acc[i] = v1;
    }
    // for k in tile(K)
    const int k_first = 0, k_last = args.dim_K;
    for (int k_at = k_first; k_at < k_last; k_at += Axis_k::step) {
        k.at(k_at, k_last);
        Tile<i32, Axes_m> v5;
        load<TW_VECTOR_0>(true, v5, args.arg_ids.data, cast<i32>(0.0f), along(args.arg_ids.stride[0], m));
        Tile<f32, Axes_m_n> v4;
        each(Axes_m_n, i) {
            const f32 v2 = acc[i];
            v4[i] = (v2 * 5e-1f);
        }
        Tile<f32, Axes_k_n> v8;
        load<TW_VECTOR_1>(true, v8, args.arg_y.data, cast<f32>(0.0f), along(args.arg_y.stride[0], k), along(args.arg_y.stride[1], n));
        Tile<f32, Axes_m_k> v7;
        each(Axes_m_k, i) {
            const f32 v6 = (m.has(Axes_m_k::of<Axis_m>(i)) && k.has(Axes_m_k::of<Axis_k>(i)) && inside(i64(v5.of<Axes_m_k>(i)), args.dim_M, args.fault, args.launch, 0, 0) ? args.arg_x.data[args.arg_x.stride[0] * i64(v5.of<Axes_m_k>(i)) + args.arg_x.stride[1] * i64(k.index(Axes_m_k::of<Axis_k>(i)))] : cast<f32>(0.0f));
            v7[i] = tanh_of(v6);
        }
        Tile<f32, Axes_k_n> v9;
        each(Axes_k_n, i) v9[i] = abs_of(v8[i]);
        Tile<f32, Axes_m_n> v11 = v4;
        const auto v10_a = hold<Axis_m, Axis_n, f32, f32>(Shared<f32, Axes<Axis_m, Axis_k>>{reinterpret_cast<f32*>(shared + TW_AT_0)}, v7, k, m);
        const Shared<f32, Axes<Axis_n, Axis_k>> v10_b = {reinterpret_cast<f32*>(shared + TW_AT_1)};
        put(v10_b, v9, k, n);
        dot<Axis_m, Axis_n, Axis_k>(v11, v10_a, v10_b);
        each(Axes_m_n, i) {
            // acc = acc * 0.5 + dot(tanh(x[(ids[m], k)]), abs(y[(k, n)]), k);
            acc[i] = v11[i];
        }
    }
    Tile<f32, Axes_m_n> v12;
    each(Axes_m_n, i) v12[i] = acc[i];
    sync_program();
    // out[(m, n)] = acc;
    store<TW_VECTOR_2>(true, v12, args.arg_out.data, along(args.arg_out.stride[0], m), along(args.arg_out.stride[1], n));
}
